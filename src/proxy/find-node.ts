import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';

/** What is known of how this process was started. */
interface Started {
  /** As it was called: a name, or a path. */
  readonly argv0: string;
  /** The file that runs, behind all links. */
  readonly execPath: string;
  readonly env: { readonly PATH?: string | undefined };
}

/**
 * The program of Node.js that a process after this one is started with: under the name that this one was started by, as in
 * `/usr/local/bin/node`, which may be a link that leads to another version by then. A name that does not lead to what runs is
 * not believed.
 */
export function findNode({ argv0, execPath, env }: Started = process): string {
  try {
    const found = placesOf(argv0, env.PATH ?? '').find(isExecutable);
    return found !== undefined && realpathSync(found) === realpathSync(execPath) ? found : execPath;
  } catch {
    return execPath; // a file, or the folder that we work in, is gone
  }
}

/** As execvp(3) looks for it. */
function placesOf(name: string, path: string): string[] {
  if (name.includes('/')) return isAbsolute(name) ? [name] : [resolve(name)];
  return path
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, name));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
