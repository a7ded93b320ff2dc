import type { DeviceEntry, DeviceHistory } from '../journal/device-history.ts';
import type { BreakwaterEvent } from '../journal/event.ts';
import { historyKey } from './peer-journal.ts';

/** What the history of a device keeps of an event. */

const words = {
  placed: 'connected',
  ended: 'ended',
  rejected: 'refused',
  reattached: 'moved',
} as const;

const isOfDevice = (type: string): type is keyof typeof words => type in words;

/** @param event of one device */
export function rememberEvent(history: Pick<DeviceHistory, 'add'>, event: BreakwaterEvent): void {
  const { type, at, clientId, connection, to, from, ...rest } = event as BreakwaterEvent & EventOfDevice;
  // Of a device that was refused before it said who it is, there is nothing to remember it by.
  if (!isOfDevice(type) || clientId === undefined || (clientId === '' && connection === undefined)) return;
  const isMove = type === 'reattached';
  history.add(historyKey(clientId, connection), {
    at,
    what: isMove && to === undefined ? 'not-moved' : words[type],
    connection,
    node: isMove ? to : rest.node,
    from,
    listener: rest.listener,
    remoteAddress: rest.remoteAddress,
    protocolVersion: rest.protocolVersion,
    cause: rest.cause,
    evidence: rest.evidence,
    reason: rest.reason,
    duration: rest.duration,
    sessionPresent: isMove && to !== undefined ? rest.sessionPresent : undefined,
    bytesFromDevice: rest.bytesFromDevice,
    bytesToDevice: rest.bytesToDevice,
  });
}

/** The fields of such events. */
interface EventOfDevice extends Omit<DeviceEntry, 'what'> {
  readonly clientId?: string;
  readonly to?: string | undefined;
}
