import { realpathSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** A person or program that replaces one file of a pair usually replaces the other soon: so long is waited for it. */
const QUIET_MS = 250;
/** For what `watch` does not see: another file system's folder, a folder that was itself replaced. */
const POLL_MS = 30_000;

/**
 * Calls `onChange` some time after any of the files may have changed, and every half minute. Their folders are watched,
 * not they, because files are replaced by renaming a new one over them; Kubernetes swaps a link that begins with `..`.
 * Returns what stops it.
 */
export function watchFiles(files: readonly string[], onChange: () => void): () => void {
  if (files.length === 0) return () => undefined;
  const paths = [...new Set(files.flatMap((file) => [file, behindLinks(file)]))];
  const names = new Set(paths.map((path) => basename(path)));
  let waiting: NodeJS.Timeout | undefined;
  const changed = (name: string | null) => {
    if (waiting !== undefined || (name !== null && !names.has(name) && !name.startsWith('..'))) return;
    waiting = setTimeout(() => {
      waiting = undefined;
      onChange();
    }, QUIET_MS);
  };
  const watchers = [...new Set(paths.map((path) => dirname(path)))].flatMap((folder) => {
    try {
      const watcher = watch(folder, (_event, name) => changed(name));
      return [watcher.on('error', () => watcher.close())];
    } catch {
      return []; // looked at from time to time all the same
    }
  });
  const poll = setInterval(onChange, POLL_MS);
  for (const each of [poll, ...watchers]) each.unref();
  return () => {
    clearInterval(poll);
    clearTimeout(waiting);
    for (const watcher of watchers) watcher.close();
  };
}

function behindLinks(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
