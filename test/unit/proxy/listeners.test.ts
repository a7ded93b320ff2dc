import { beforeEach, expect, test } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import { parseConfig } from '../../../src/config/load.ts';
import type { Service } from '../../../src/data-plane/service.ts';
import type { ListenerSettings } from '../../../src/data-plane-api/messages.ts';
import { PoolNumbers } from '../../../src/data-plane-api/pool-numbers.ts';
import { MAX_LISTENERS } from '../../../src/data-plane-api/routing-table.ts';
import { Listeners } from '../../../src/proxy/listeners.ts';
import { silentLog } from '../../support/memory-backend.ts';

/** What the data threads were asked, in their order. */
let asked: string[];
let devices: number[];
let accepted: number[];
/** A port that another program has. */
let taken: number | undefined;
let listeners: Listeners;

async function bind(added: readonly ListenerSettings[]) {
  if (added.length > 0) asked.push(`listen ${added.map(({ index, port }) => `${index}:${port}`)}`);
  if (added.some(({ port }) => port === taken)) throw new BreakwaterError('ADDRESS_IN_USE', 'taken');
  return added.map(({ index, host, port }) => ({ host, port: port === 0 ? 40_000 + index : port }));
}

beforeEach(() => {
  [asked, devices, accepted, taken] = [[], [], [], undefined];
  listeners = new Listeners({
    threads: {
      start: bind,
      ready: async () => {},
      listen: bind,
      unlisten: async (indexes) => void (indexes.length > 0 && asked.push(`unlisten ${indexes}`)),
      endAt: (index, reason) => void asked.push(`end ${index} ${reason}`),
      devicesAt: (index) => devices[index] ?? 0,
      listening: async () => new Map(),
    },
    table: { accepted: (index) => accepted[index] ?? 0, clearTraffic: () => {} },
    numbers: new PoolNumbers(),
    log: silentLog,
  });
});

const service = {} as Service;
const nothing = new Map<string, number[]>();

/** A port is a plain listener there. */
function wanted(...ports: readonly (number | string)[]) {
  const listeners = ports.map((port) => ({ url: typeof port === 'number' ? url(port) : port }));
  const { listeners: configs } = parseConfig(JSON.stringify({ listeners }), 'test');
  return configs.map((config, index) => ({ config, tls: undefined, place: `listeners[${index}].url` }));
}
const url = (port: number) => `mqtt://127.0.0.1:${port}`;
async function change(...ports: readonly (number | string)[]): Promise<void> {
  await (await listeners.change(wanted(...ports))).leave();
}

test('a listener that remains keeps its index and its port, wherever it stands in the file', async () => {
  await listeners.start(wanted(0, 1883), service, nothing);
  expect(listeners.urls).toEqual([url(40_000), url(1883)]);
  asked.length = 0;
  await change(1884, 1883, 0);
  expect(asked).toEqual(['listen 2:1884']);
  expect(listeners.urls).toEqual([url(1884), url(1883), url(40_000)]);
  expect([0, 1, 2].map((index) => listeners.urlAt(index))).toEqual([url(40_000), url(1883), url(1884)]);
});

test('what is new is bound before anything is closed, and devices are ended last', async () => {
  await listeners.start(wanted(1, 2), service, nothing);
  asked.length = 0;
  const changed = await listeners.change(wanted(2, 3));
  expect(asked).toEqual(['listen 2:3']);
  expect(changed.settings.map(({ index, port }) => [index, port])).toEqual([
    [1, 2],
    [2, 3],
  ]);
  await changed.leave();
  expect(asked).toEqual(['listen 2:3', 'unlisten 0', 'end 0 listener-removed']);
});

test('one that stands in the way of a new one is closed first, and bound again when that fails', async () => {
  await listeners.start(wanted(1, 2), service, nothing);
  asked.length = 0;
  await change('ws://127.0.0.1:1', 2);
  expect(asked).toEqual(['unlisten 0', 'listen 2:1', 'unlisten 0', 'end 0 listener-removed']);
  asked.length = 0;
  taken = 3;
  await expect(listeners.change(wanted(1, 2, 3))).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  expect(asked).toEqual(['unlisten 2', 'listen 0:1,3:3', 'listen 2:1']);
  expect(listeners.urls).toEqual(['ws://127.0.0.1:1/mqtt', url(2)]);
});

test('one that could not be bound again is bound by the next reload, and keeps its devices', async () => {
  await listeners.start(wanted(1, 2), service, nothing);
  taken = 1;
  await expect(listeners.change(wanted('ws://127.0.0.1:1', 2))).rejects.toMatchObject({
    code: 'ADDRESS_IN_USE',
  });
  taken = undefined;
  asked.length = 0;
  await change(1, 2);
  expect(asked).toEqual(['listen 0:1']);
  taken = 1;
  await expect(listeners.change(wanted('ws://127.0.0.1:1', 2))).rejects.toThrow();
  asked.length = 0;
  await change(2);
  expect(asked).toEqual(['unlisten 0', 'end 0 listener-removed']);
});

test('an index is another listener’s when its last device has left, and counts from there', async () => {
  await listeners.start(wanted(1, 2), service, nothing);
  accepted = [7, 5];
  devices = [3];
  await change(2);
  await change(2, 3);
  expect(listeners.urlAt(0)).toBe(url(1)); // its devices are still told of
  devices = [0];
  await change(2, 3, 4);
  accepted = [8, 5, 0];
  expect(listeners.counted()).toEqual([
    { index: 1, url: url(2), accepted: 5 },
    { index: 2, url: url(3), accepted: 0 },
    { index: 0, url: url(4), accepted: 1 },
  ]);
  expect(listeners.accepted).toBe(13);
});

test('all listeners may be others while the devices of before leave; there is no room for more', async () => {
  const most = MAX_LISTENERS / 2;
  const ports = (from: number) => Array.from({ length: most }, (_, i) => from + i);
  await listeners.start(wanted(...ports(1)), service, nothing);
  devices = Array(MAX_LISTENERS).fill(1);
  await expect(listeners.change(wanted(...ports(101)))).rejects.toMatchObject({ code: 'TABLE_FULL' });
  devices = Array(most).fill(1);
  await change(...ports(101));
  expect(listeners.urls).toEqual(ports(101).map(url));
});
