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
  placed: { when: 'a node serves the device', fields: [...device, 'protocolVersion'] },
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
      ...['clientId', 'connection', 'remoteAddress', 'cause', 'evidence', 'from', 'to', 'result', 'duration'],
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
  'proxy-state': {
    when: 'somebody has taken a proxy out (`draining`), or back in (`enabled`); the proxy itself tells it',
    fields: ['proxy', 'state'],
  },
  'proxy-lost': {
    when: 'another proxy vanished without taking its leave (`lost`), or is there again (`back`)',
    fields: ['peer', 'state', 'connections'],
  },
  'proxy-drain-progress': {
    when: 'once a second while devices leave a proxy that is drained',
    fields: ['proxy', ...progress],
  },
  'proxy-rebalance-progress': {
    when: 'once a second while devices are evened out over the proxies',
    fields: [...progress, 'proxies'],
  },
  'node-lost': {
    when: 'links to a node ended, and it is shown to be gone; `lost` of `had` links were known to have ended by then',
    fields: ['node', 'evidence', 'detail', 'lost', 'had'],
  },
  panic: {
    when: 'no node of a pool is healthy, and all of them are tried; `state` is `began` or `ended`',
    fields: ['pool', 'state'],
  },
  refusals: {
    when: 'a minute has passed in which so many devices were turned away for this reason, those too that `rejected` does not tell of',
    fields: ['reason', 'count'],
  },
  upgrade: {
    when: 'the process of the proxy was to be replaced; `result` is `ok` or `failed`, `cause` which version runs since, or why the old one goes on',
    fields: ['result', 'cause'],
  },
  reload: {
    when: 'the configuration was read again; `result` is `ok`, `refused` or `in-part`, `cause` what changed, or why nothing did',
    fields: ['result', 'cause'],
  },
  certificate: {
    when: 'TLS files of a listener or pool are in use (`changed`), cannot be used (`refused`), or are about to expire (`expires-soon`, `expired`)',
    fields: ['subject', 'state', 'cause'],
  },
  store: {
    when: 'the membership store stopped to answer (`down`), or answers again (`up`)',
    fields: ['state', 'cause'],
  },
  thread: {
    when: 'a data thread does not answer (`stuck`), answers again (`answers`), has died (`died`), dies again and again (`failing`), or lives after that (`lives`)',
    fields: ['thread', 'state', 'connection', 'cause'],
  },
  banned: {
    when: 'somebody has banned a device or a network; the proxy that was asked tells it',
    fields: ['ban', 'clientId', 'username', 'clientCn', 'source', 'reason', 'expiresAt', 'kick'],
  },
  unbanned: {
    when: 'somebody has removed a ban; likewise. A ban that ends by itself is not told',
    fields: ['ban', 'clientId', 'username', 'clientCn', 'source'],
  },
  admin: {
    when: 'somebody changed something by the admin API, or tried to',
    fields: [
      ...['method', 'path', 'status', 'by', 'role', 'remoteAddress', 'node', 'clientId', 'change', 'code'],
    ],
  },
  'admin-denied': {
    when: 'somebody was not let in, or asked for what the role of the token does not allow',
    fields: [...['method', 'path', 'status', 'by', 'role', 'remoteAddress', 'node', 'clientId', 'code']],
  },
  incident: {
    when: 'an [incident](#incidents) began; `GET incidents` tells how it goes on',
    fields: ['kind', 'subject'],
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
