import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { HANDED_VERSION } from '../../../src/connection/handed-version.ts';
import { RecentOrders } from '../../../src/data-plane/recent-orders.ts';
import type { Command } from '../../../src/data-plane-api/messages.ts';
import { CLOSED, CONNECTION } from '../../../src/engine/descriptors.ts';
import { createConnectionGiver } from '../../../src/proxy/give-connections.ts';
import type { RunningParts } from '../../../src/proxy/running-parts.ts';
import { createConnectionTaker } from '../../../src/proxy/take-connections.ts';

/** A data thread of an upgrade that dies when it is asked, or only fails, or answers. */
function thread(how: 'dies' | 'fails' | 'answers', answer: object = {}) {
  const noted: [readonly number[], number][] = [];
  return {
    ...{ number: 3, isAlive: how !== 'dies', noted },
    tell: () => undefined,
    note: (fds: readonly number[], what: number) => noted.push([fds, what]),
    ask: async (command: (request: number) => Command) => {
      command(1);
      if (how !== 'answers') throw new Error(how);
      return answer;
    },
  };
}

function parts(...alive: object[]): RunningParts {
  return {
    common: { log: { debug: () => undefined } },
    dataPlane: {
      threads: {
        alive,
        awaited: 2,
        orders: new RecentOrders({ now: () => 0 }),
        ready: async () => undefined,
      },
      listeners: { keyAt: () => 'key', indexOf: () => 0 },
    },
    control: { cluster: { claims: {} } },
    owners: {},
  } as unknown as RunningParts;
}

test('a thread of the older process that dies has nothing to give for now, and is asked again; other faults end the upgrade', async () => {
  // Two devices of dead threads wait, for the next one.
  const handing = { devices: [], busy: 2 };
  const giver = createConnectionGiver(parts(thread('dies'), thread('answers', handing)));
  expect(await giver.next()).toEqual({ connections: [], descriptors: [], orders: [], busy: 5 });
  await expect(createConnectionGiver(parts(thread('fails'))).next()).rejects.toThrow('fails');
});

test('what a thread of the newer process was given when it died stays with the older one', async () => {
  const socket = {
    unread: new Uint8Array(),
    waiting: new Uint8Array(),
    hasEnded: false,
    fin: 'none',
    isHeld: false,
  };
  const offer = (fd: number) => ({
    listener: 'key',
    descriptors: 1,
    sockets: {
      device: { ...socket, fd },
      ...{ links: [], lastLink: -1, number: 0, fromDevice: 0, toDevice: 0, isCounted: false, timerMs: 0 },
    },
    peer: {
      ...{ remoteAddress: '127.0.0.1', remotePort: 1, ipv4: undefined, destination: undefined },
      ...{ serverName: undefined, tlvs: undefined, tls: undefined },
    },
    state: {
      version: HANDED_VERSION,
      kind: 'mqtt',
      reason: undefined,
      state: { phase: 'greeting', held: new Uint8Array() },
    },
  });
  const [lost, kept] = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
  const [dying, living] = [thread('dies'), thread('answers', { refused: [{ at: 0, why: 'no' }] })];
  const taker = createConnectionTaker(parts(dying, living));
  const refused = await taker.adopt([offer(0), offer(0)], [lost, kept], []);
  expect([...refused].sort()).toEqual([0, 1]);
  // The dead one's is closed with its thread, which has it noted; what is refused is closed here.
  expect(dying.noted).toEqual([[[lost], CONNECTION]]);
  expect(living.noted).toEqual([
    [[kept], CONNECTION],
    [[kept], CLOSED],
  ]);
  closeSync(lost);
  const alone = createConnectionTaker(parts());
  expect(await alone.adopt([offer(0)], [openSync('/dev/null', 'r')], [])).toEqual([0]);
});
