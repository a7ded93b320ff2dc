import { type Libc, loadLibc } from '../linux/libc.ts';
import { findSupport, type LinuxSupport } from '../linux/support.ts';
import { createUringDriver, type UringSizes } from './driver.ts';
import { lockedMemoryFault } from './locked-memory.ts';
import { probe } from './probe.ts';

/**
 * Finds out whether this machine can run the uring engine: whether its kernel has what that needs, and allows it.
 * @param sizes for tests: smaller rings are full more often
 */
export function loadUring(load = loadLibc, sizes?: UringSizes): LinuxSupport {
  let showsBusy: string | undefined;
  const probed = (): Libc => {
    const libc = load();
    showsBusy = probe(libc);
    return libc;
  };
  const support = findSupport('uring', probed, (libc, table) => createUringDriver(libc, table, sizes));
  if (!support.available) return support;
  return { ...support, drawback: (threads) => showsBusy ?? lockedMemoryFault(threads) };
}
