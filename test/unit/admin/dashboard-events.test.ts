import { expect, test } from 'vitest';
import type { BreakwaterEvent } from '../../../src/admin/backend.ts';
import { EventLog } from '../../../src/admin/dashboard/event-log.js';
import { sentenceOf } from '../../../src/admin/dashboard/event-text.js';
import { clientName, duration } from '../../../src/admin/dashboard/format.js';

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();
type Type = BreakwaterEvent['type'];
const event = (type: Type, second: number, more: object = {}): BreakwaterEvent => ({
  ...{ type, at: at(second) },
  ...more,
});
const moved = (second: number, clientId: string, to: string | undefined): BreakwaterEvent =>
  event('reattached', second, {
    ...{ clientId, from: 'b', to, cause: 'link-lost', duration: 0.4 },
    result: to === undefined ? 'failed' : 'ok',
  });

function shown(log: EventLog, group: Parameters<EventLog['list']>[0] = ''): string[] {
  return log.list(group).map((entry) => {
    const { what, detail } = sentenceOf(entry);
    return detail === '' ? what : `${what} | ${detail}`;
  });
}

test('a storm of one kind is one line, and what happened to a node is not hidden by it', () => {
  const log = new EventLog();
  log.add(event('node-health', 0, { node: 'b', health: 'unhealthy', cause: 'links ended' }));
  for (let i = 0; i < 300; i++) log.add(moved(1 + i / 300, `meter-${i}`, i % 3 === 0 ? 'a' : 'c'));
  log.add(moved(2.1, 'meter-300', undefined));
  expect(shown(log)).toEqual([
    '301 devices moved to a (100), c (200) | from b: link-lost, 1 not moved',
    'b is unhealthy | links ended',
  ]);
  expect(log.list('move')[0]?.names).toHaveLength(50);
});

test('a storm that cannot be one line is bounded by itself, and by less beside the other kinds', () => {
  const log = new EventLog();
  log.add(event('node-added', 0, { node: 'n', url: 'mqtt://n' }));
  for (let i = 0; i < 1000; i++) log.add(event('rejected', i, { clientId: `c${i}`, reason: `reason-${i}` }));
  expect([log.count('refusal'), log.list('refusal').length, log.list('').length]).toEqual([100, 100, 41]);
  expect(shown(log).at(-1)).toBe('n was added | url mqtt://n');
  expect(shown(log, 'node')).toHaveLength(1);
});

test('what is alike but later is a line of its own, and so is what differs in its reason', () => {
  const log = new EventLog();
  log.add(event('placed', 0, { clientId: 'm', node: 'a' }));
  log.add(event('placed', 1, { clientId: 'n', node: 'a' }));
  log.add(event('placed', 9, { clientId: 'm', node: 'a' }));
  log.add(event('ended', 9, { clientId: 'm', node: 'a', reason: 'kicked', duration: 1 }));
  expect(shown(log, 'device')).toEqual([
    'm left | a kicked, after 1 s',
    'm connected | at a',
    '2 devices connected | at a',
  ]);
});

test('one device is called by its name, and what it chose cannot turn the text', () => {
  const log = new EventLog();
  log.add(moved(0, 'a\u202eb\n', 'c'));
  expect(shown(log)).toEqual(['a\\u202eb\\u000a moved to c | from b: link-lost, in 0.4 s']);
  expect(clientName('')).toBe('(no client id)');
});

test('an event that this page does not know is shown as it is', () => {
  const log = new EventLog();
  log.add(event('store', 0, { state: 'down', cause: 'ECONNREFUSED' }));
  log.add(event('of-tomorrow' as Type, 0.5, { node: 'b', id: '7', proxy: 'p' }));
  log.add(event('drain-progress', 1, { node: 'b', state: 'moving', moved: 2 }));
  log.add(event('drain-progress', 2, { node: 'b', state: 'done', moved: 9 }));
  expect(shown(log)).toEqual([
    'drain of b: done | moved 9',
    'of tomorrow | node b',
    'the store is down | ECONNREFUSED',
  ]);
  expect(log.list('change')).toHaveLength(2);
});

test('lengths of time are told in one unit', () => {
  expect([0.04, 6.44, 59.9, 60, 7200, 200_000].map(duration)).toEqual([
    ...['40 ms', '6.4 s', '59 s', '1 min', '2 h', '2 d'],
  ]);
});

test('a ban says whom it is about', () => {
  const log = new EventLog();
  log.add(event('banned', 0, { ban: '6f1c0a52be01', clientId: 'meter-17', kick: true, reason: 'noise' }));
  log.add(event('unbanned', 1, { ban: '0b77de4c1f90', source: '198.51.100.0/24' }));
  expect(shown(log, 'change')).toEqual([
    '198.51.100.0/24 is banned no more',
    'meter-17 was banned | kick true · reason noise',
  ]);
});
