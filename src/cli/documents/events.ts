import type { BreakwaterEvent } from '../../admin/backend.ts';
import { markdownTable } from './sections.ts';

/** The table of the events that `GET events` tells. */

interface EventMeaning {
  readonly when: string;
  /** Besides `type` and `at`. */
  readonly fields: readonly string[];
}

const device = ['clientId', 'connection', 'node', 'listener', 'remoteAddress'];
const progress = ['state', 'moved', 'failed', 'left', 'pace'];

const meanings: Readonly<Record<BreakwaterEvent['type'], EventMeaning>> = {
  placed: { when: 'a node serves the device', fields: device },
  ended: {
    when: 'the connection of a served device has ended; `duration` in seconds',
    fields: [...device, 'reason', 'duration', 'bytesFromDevice', 'bytesToDevice'],
  },
  rejected: {
    when: 'a device was turned away; `clientId` if it was read',
    fields: ['clientId', 'listener', 'remoteAddress', 'reason'],
  },
  reattached: {
    when: 'a session has moved, or no node took it (`result: failed`, no `to`)',
    fields: [
      ...['clientId', 'remoteAddress', 'cause', 'evidence', 'from', 'to', 'result', 'duration'],
      'sessionPresent',
    ],
  },
  'dial-failed': {
    when: 'a node could not be dialled, or did not serve the device',
    fields: ['node', 'failure', 'detail'],
  },
  'node-health': { when: 'the health of a node has changed', fields: ['node', 'health', 'cause'] },
  'node-state': {
    when: 'the admin state, the weight or the URL of a node has changed',
    fields: ['node', 'state', 'weight'],
  },
  'node-added': { when: 'a node is new', fields: ['node', 'pool', 'url'] },
  'node-removed': { when: 'a node is gone from the table', fields: ['node', 'pool'] },
  'node-drained': { when: 'the last connection has left a node that drains', fields: ['node'] },
  'drain-progress': {
    when: 'once a second while sessions leave a node; each proxy tells of its own',
    fields: ['node', ...progress],
  },
  'rebalance-progress': {
    when: 'once a second while a rebalance is under way',
    fields: [...progress, 'pools'],
  },
};

export function eventTable(): string {
  const rows = Object.entries(meanings).map(([type, { when, fields }]) => [
    `\`${type}\``,
    when,
    fields.map((field) => `\`${field}\``).join(', '),
  ]);
  return markdownTable(['event', 'when', 'fields'], rows);
}
