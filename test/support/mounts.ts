import { execFileSync } from 'node:child_process';

/** Why files cannot be laid over those of the system for one process; undefined where they can. */
export function mountFault(): string | undefined {
  if (process.platform !== 'linux') return 'mount namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'mount namespaces are made by root only';
  try {
    execFileSync('unshare', ['-m', 'mount', '--bind', '/etc/hostname', '/etc/hostname'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `no mount namespace can be made: ${String(error).split('\n')[0]}`;
  }
}

/** What goes before a command, so that it finds these files (the values) in place of those of the system (the keys). */
export function withFiles(files: Readonly<Record<string, string>>): readonly string[] {
  const mounts = Object.entries(files).map(([path, file]) => `mount --bind ${file} ${path}`);
  return ['unshare', '-m', 'sh', '-c', `${mounts.join(' && ')} && exec "$0" "$@"`];
}
