import { readFileSync } from 'node:fs';

/** Version of this package. The file lies two folders up from the source and from the program, and three from a module in `dist/src`. */
export function version(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as Record<
        string,
        unknown
      >;
      if (found.name === 'breakwater') return String(found.version);
    } catch {
      // not there: the next place
    }
  }
  throw new Error('package.json of breakwater is missing');
}
