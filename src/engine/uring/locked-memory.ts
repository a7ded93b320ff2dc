import { readFileSync } from 'node:fs';
import { messageOf } from '../../base/errors.ts';

/** Whether this process may lock as much memory as the rings of its threads take. */

/** Rings and submissions of one thread (`SIZES` of the driver), and its ring of buffers. */
const RING_BYTES = 73 * 4096;
/** Two processes of an upgrade share the limit, which is that of their user. */
const PROCESSES = 2;
const MIB = 1_048_576;
const [LIMITS, STATUS] = ['/proc/self/limits', '/proc/self/status'];
/** Bytes, or `unlimited`: the soft limit. */
const LIMIT = /^Max locked memory +(\S+)/m;
const CAPABILITIES = /^CapEff:\s*([0-9a-f]+)$/m;
const CAP_IPC_LOCK = 14n;

type Read = (path: string) => string;

/** Why so many threads are too many, or why nobody knows; undefined where they are not. */
export function lockedMemoryFault(
  threads: number,
  read: Read = (path) => readFileSync(path, 'latin1'),
): string | undefined {
  try {
    return faultOf(threads, read);
  } catch (error) {
    return `nobody knows how much memory may be locked: ${messageOf(error)}`;
  }
}

function faultOf(threads: number, read: Read): string | undefined {
  const limit = Number(LIMIT.exec(read(LIMITS))?.[1]); // not a number: none
  const needed = PROCESSES * threads * RING_BYTES;
  if (!(needed > limit) || isPrivileged(read(STATUS))) return undefined;
  const inMib = (bytes: number) => (bytes / MIB).toFixed(1);
  return `rings of ${threads} data threads lock ${inMib(needed)} MiB during an upgrade, and ${inMib(limit)} may be locked: raise ulimit -l, or LimitMEMLOCK of systemd`;
}

function isPrivileged(status: string): boolean {
  const [, capabilities = '0'] = CAPABILITIES.exec(status) ?? [];
  return ((BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK) & 1n) === 1n;
}
