import { readFileSync } from 'node:fs';
import { messageOf } from '../../base/errors.ts';
import { AF_INET, ENOTCONN, EPERM, errnoName, type Libc, SOCK_CLOEXEC, SOCK_STREAM } from '../linux/libc.ts';
import * as a from './abi.ts';
import { BufferPool } from './buffer-pool.ts';
import { Operations } from './operations.ts';
import { Ring } from './ring.ts';

/** Asks the running kernel whether it has all that the uring engine needs, and lets this process use it. */

const SIZES = { submissions: 8, completions: 16 };
const BUFFERS = { count: 8, bytes: 64 };
const NEEDED = {
  ...{ POLL_ADD: a.OP_POLL_ADD, SENDMSG: a.OP_SENDMSG, ASYNC_CANCEL: a.OP_ASYNC_CANCEL },
  ...{ SEND: a.OP_SEND, RECV: a.OP_RECV },
};
/** Who may use io_uring: 0 everybody, 1 members of a group and CAP_SYS_ADMIN, 2 nobody. Linux 6.6. */
const DISABLED = '/proc/sys/kernel/io_uring_disabled';
const ANSWER_MS = 1000;
const FORBIDDEN = 'a seccomp filter forbids it, as the default one of containers does';
const DRAWBACK =
  'before Linux 6.15 the cores of threads that wait for messages are shown as waiting for a disk (iowait)';

/**
 * Makes a ring and buffers as the engine does, and receives with them. Returns why nobody gets this who did not ask for it,
 * undefined where it harms nothing.
 * @throws Error with the reason
 */
export function probe(
  libc: Libc,
  disabled: () => string = () => readFileSync(DISABLED, 'latin1'),
): string | undefined {
  let ring: Ring;
  try {
    ring = new Ring(libc, SIZES);
  } catch (error) {
    const message = messageOf(error);
    if (message.includes('ENOMEM')) throw error; // it says why
    throw new Error(`${message}: ${whyRefused(message, disabled)}`, { cause: error });
  }
  try {
    new BufferPool(libc, ring, BUFFERS);
    const missing = Object.entries(NEEDED).filter(([, operation]) => !hasOperation(libc, ring, operation));
    if (missing.length > 0)
      throw new Error(`io_uring has no ${missing.map(([name]) => name).join(', ')} here`);
    tryToReceive(libc, ring);
    return ring.showsIdle ? undefined : DRAWBACK;
  } finally {
    ring.close();
  }
}

/** `struct io_uring_probe`, and behind its 16 bytes 8 for each operation, whose flags are at byte 2: bit 0, it is there. */
function hasOperation(libc: Libc, ring: Ring, operation: number): boolean {
  const asked = operation + 1;
  const answer = libc.pin(16 + 8 * asked);
  const result = ring.register(a.REGISTER_PROBE, answer.address, asked);
  if (result < 0) throw new Error(`io_uring_register of a probe: ${errnoName(result)}`);
  return (answer.bytes.readUInt16LE(16 + 8 * operation + 2) & 1) === 1;
}

/**
 * Receives as the engine does, at a socket that has no connection: a kernel that knows these flags says so, another says that it
 * does not know them.
 */
function tryToReceive(libc: Libc, ring: Ring): void {
  const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new Error(`socket: ${errnoName(fd)}`);
  try {
    const operations = new Operations(ring, { generation: new Uint32Array(fd + 1), capacity: fd + 1 });
    operations.receive(fd, true);
    const entered = ring.enter(ANSWER_MS);
    if (entered === -EPERM) throw new Error(`io_uring_enter: EPERM: ${FORBIDDEN}`);
    const result = ring.head === ring.end ? entered : (ring.completed[a.CQE_RESULT] as number);
    if (result !== -ENOTCONN)
      throw new Error(
        `io_uring does not receive as it is to: ${errnoName(result)}; it needs Linux 6.1 or later`,
      );
  } finally {
    libc.close(fd);
  }
}

function whyRefused(message: string, disabled: () => string): string {
  if (message.endsWith('EINVAL')) return 'it needs Linux 6.1 or later';
  if (message.endsWith('ENOSYS')) return 'the kernel was built without it, or a seccomp filter hides it';
  if (!message.endsWith('EPERM')) return 'see io_uring_setup(2)';
  const value = settingOf(disabled);
  if (value === '1' || value === '2') return `sysctl kernel.io_uring_disabled is ${value}`;
  return FORBIDDEN;
}

function settingOf(disabled: () => string): string {
  try {
    return disabled().trim();
  } catch {
    return ''; // an older kernel has no such setting
  }
}
