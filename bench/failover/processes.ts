import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { residentBytes } from '../load/gauges.ts';

/** What Linux tells of processes (proc(5)). One that ends meanwhile has nothing. */

/** Processes whose command line has this text. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(
      (pid) => pid > 0 && attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'), '').includes(text),
    );
}

export function childrenOf(pid: number): number[] {
  const lists = attempt(() => readdirSync(`/proc/${pid}/task`), []).map((thread) =>
    attempt(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1'), ''),
  );
  return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
}

/** What its descriptors are: `socket:[4711]`, `anon_inode:[eventpoll]`, a path. */
export function descriptorsOf(pid: number): string[] {
  return attempt(() => readdirSync(`/proc/${pid}/fd`), []).flatMap((fd) =>
    attempt(() => [readlinkSync(`/proc/${pid}/fd/${fd}`)], []),
  );
}

/** Inodes of its sockets. */
export function socketsOf(pid: number): Set<number> {
  return new Set(
    descriptorsOf(pid)
      .filter((target) => target.startsWith('socket:['))
      .map((target) => Number(target.slice('socket:['.length, -1))),
  );
}

export function residentMib(pid: number): number {
  return Math.round((attempt(() => residentBytes([pid]), 0) / 2 ** 20) * 10) / 10;
}

interface TcpSocket {
  readonly localPort: number;
  readonly remotePort: number;
  readonly isListening: boolean;
  readonly inode: number;
}

const LISTEN = '0A';

/** All sockets of IPv4. */
export function tcpSockets(): TcpSocket[] {
  const [, ...lines] = readFileSync('/proc/net/tcp', 'latin1').trimEnd().split('\n');
  return lines.map((line) => {
    const [, local = '', remote = '', state, , , , , , inode] = line.trim().split(/\s+/);
    return {
      localPort: Number.parseInt(local.slice(-4), 16),
      remotePort: Number.parseInt(remote.slice(-4), 16),
      isListening: state === LISTEN,
      inode: Number(inode),
    };
  });
}

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
