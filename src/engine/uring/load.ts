import { type Libc, loadLibc } from '../linux/libc.ts';
import { findSupport, type LinuxSupport } from '../linux/support.ts';
import { createUringDriver, type UringSizes } from './driver.ts';
import { probe } from './probe.ts';

/**
 * Finds out whether this machine can run the uring engine: whether its kernel has what that needs, and allows it.
 * @param sizes for tests: smaller rings are full more often
 */
export function loadUring(load = loadLibc, sizes?: UringSizes): LinuxSupport {
  const probed = (): Libc => {
    const libc = load();
    probe(libc);
    return libc;
  };
  return findSupport('uring', probed, (libc, table) => createUringDriver(libc, table, sizes));
}
