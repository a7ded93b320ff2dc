import { messageOf } from '../../base/errors.ts';
import type { Engine } from '../engine.ts';
import { LinuxEngine, type LinuxOptions } from '../linux/engine.ts';
import { type Libc, loadLibc } from '../linux/libc.ts';
import { transparentFault } from '../linux/transparent.ts';
import { createEpollDriver } from './driver.ts';

/** Finds out whether this machine can run the epoll engine. */

type EpollSupport =
  | {
      readonly available: true;
      create(options: LinuxOptions): Engine & { readonly wakeFd: number };
      /** Why nodes cannot be dialled from addresses that are none of this machine; undefined where they can. */
      transparentFault(): string | undefined;
    }
  | { readonly available: false; readonly reason: string };

/** Whether this machine can run the epoll engine; if not, the reason, for the log or the error. */
export function loadEpoll(load: () => Libc = loadLibc): EpollSupport {
  try {
    const libc = load();
    return {
      available: true,
      create: (options) => new LinuxEngine('epoll', libc, createEpollDriver, options),
      transparentFault: () => transparentFault(libc),
    };
  } catch (error) {
    return { available: false, reason: messageOf(error) };
  }
}
