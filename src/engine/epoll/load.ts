import { loadLibc } from '../linux/libc.ts';
import { findSupport, type LinuxSupport } from '../linux/support.ts';
import { createEpollDriver } from './driver.ts';

/** Finds out whether this machine can run the epoll engine. */
export function loadEpoll(load = loadLibc): LinuxSupport {
  return findSupport('epoll', load, createEpollDriver);
}
