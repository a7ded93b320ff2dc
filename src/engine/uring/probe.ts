import { readFileSync } from 'node:fs';
import { messageOf } from '../../base/errors.ts';
import { errnoName, type Libc } from '../linux/libc.ts';
import * as a from './abi.ts';
import { BufferPool } from './buffer-pool.ts';
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

/**
 * Makes a ring and buffers as the engine does. A receive that goes on by itself cannot be asked for, but a kernel that
 * defers its work (Linux 6.1) has it (6.0).
 * @throws Error with the reason
 */
export function probe(libc: Libc, disabled: () => string = () => readFileSync(DISABLED, 'latin1')): void {
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

function whyRefused(message: string, disabled: () => string): string {
  if (message.endsWith('EINVAL')) return 'it needs Linux 6.1 or later';
  if (message.endsWith('ENOSYS')) return 'the kernel was built without it, or a seccomp filter hides it';
  if (!message.endsWith('EPERM')) return 'see io_uring_setup(2)';
  const value = settingOf(disabled);
  if (value === '1' || value === '2') return `sysctl kernel.io_uring_disabled is ${value}`;
  return 'a seccomp filter forbids it, as the default one of containers does';
}

function settingOf(disabled: () => string): string {
  try {
    return disabled().trim();
  } catch {
    return ''; // an older kernel has no such setting
  }
}
