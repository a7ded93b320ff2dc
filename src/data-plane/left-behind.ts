import type { HandedDevice, HandOverReport, Listening } from '../data-plane-api/hand-over-messages.ts';
import type { ListenerSettings } from '../data-plane-api/messages.ts';
import { CLOSED, CONNECTION, OTHER } from '../engine/descriptors.ts';
import { descriptorsOf } from '../engine/handed-sockets.ts';

/** What a data thread that has died has left to another. */

export interface Left {
  readonly devices: readonly HandedDevice[];
  readonly listening: readonly Listening[];
  /** The listeners as they were then. */
  readonly listeners: readonly ListenerSettings[];
}

/** Takes what a thread has reported last out of what it had noted. What it had not noted is not its own, and is left to nobody. */
export function takeLeft(
  open: Uint8Array,
  reports: readonly Extract<HandOverReport, { type: 'left' }>[],
): Pick<Left, 'devices' | 'listening'> {
  const take = (fds: readonly number[], kind: number): boolean => {
    if (!fds.every((fd) => open[fd] === kind)) return false;
    for (const fd of fds) open[fd] = CLOSED;
    return true;
  };
  const isOwn = ({ sockets }: HandedDevice): boolean => take(descriptorsOf(sockets), CONNECTION);
  return {
    devices: reports.flatMap(({ devices }) => devices.filter(isOwn)),
    listening: reports.flatMap(({ listeners }) => listeners.filter((each) => take(each.descriptors, OTHER))),
  };
}
