/** Whether the program runs on this version of Node.js: on an older one it would fail later, and nobody would see why. */

/** `engines` of package.json says the same. */
export const OLDEST_NODE = '20.19';

/** What to say where it does not; undefined: it does. @param version as `22.12.0` */
export function whyTooOld(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE.split('.').map(Number);
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined;
  return `this is Node.js ${version}; breakwater needs ${OLDEST_NODE} or later`;
}
