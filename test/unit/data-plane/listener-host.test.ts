import { describe, expect, test } from 'vitest';
import type { Connection } from '../../../src/connection/connection.ts';
import type { HandedConnection, HandedMqtt } from '../../../src/connection/handed.ts';
import { HANDED_VERSION } from '../../../src/connection/handed-version.ts';
import type { Peer, Wire } from '../../../src/connection/wire.ts';
import { ClientIds } from '../../../src/data-plane/client-ids.ts';
import { ListenerHost } from '../../../src/data-plane/listener-host.ts';
import type { PoolRoute } from '../../../src/data-plane/pool-route.ts';
import { SessionMemories } from '../../../src/data-plane/session-memories.ts';
import { shownId } from '../../../src/data-plane/shown-id.ts';
import type { WorkerContext } from '../../../src/data-plane/worker-context.ts';
import type { WorkerEvent } from '../../../src/data-plane-api/messages.ts';
import { createTableMemory, openTable } from '../../../src/data-plane-api/routing-table.ts';
import { TableReader } from '../../../src/data-plane-api/table-reader.ts';
import { BAN_VALUE_MAX, type BanKind, Bans, banId } from '../../../src/policy/admission/bans.ts';
import type { ConnectionLimiter } from '../../../src/policy/admission/connection-limiter.ts';
import type { RuleInput } from '../../../src/policy/routing/rules.ts';
import { decodeConnect } from '../../../src/protocol/mqtt/connect.ts';
import { limits, sessionLimits } from '../connection/scene.ts';
import { connectPacket } from '../protocol/mqtt/packets.ts';

const packet = connectPacket({
  version: 5,
  clientId: 'meter-1',
  clean: true,
  keepalive: 60,
  username: 'ann',
});
const decoded = decodeConnect(packet, 0, packet.length, 1_024);
if (decoded.kind !== 'connect') throw new Error('the packet of this test is no CONNECT');
const { connect } = decoded;

const peer: Peer = {
  ...{ remoteAddress: '10.0.0.1', remotePort: 40_000 },
  tls: {
    ...{ version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', alpn: undefined },
    ...{ serverName: 'a.example', clientCertificateCn: 'meter' },
  },
};

function hostWith(context: Partial<WorkerContext>): ListenerHost {
  const table = new TableReader(openTable(createTableMemory(1), 1), 0);
  const memories = new SessionMemories({
    ...{ now: () => 0, tell: () => {} },
    ...{ maxMs: () => 0, followsSessions: () => false },
  });
  const whole = {
    table,
    limits: { ...limits, ...sessionLimits },
    routes: [],
    threads: 1,
    memories,
    lostLinks: { hasLost: () => false },
    bans: new Bans([]),
    ...context,
  };
  const listener = { index: 0, url: 'mqtts://0.0.0.0:8883', pool: 0, mode: 'session' };
  return new ListenerHost(
    whole as never,
    listener as never,
    { release: () => {}, readmit: () => {} } as unknown as ConnectionLimiter,
  );
}

test('rules are told all that is known of a device: its CONNECT, its address, its listener and its TLS', () => {
  const asked: RuleInput[] = [];
  const host = hostWith({
    routes: [{ name: 'default' } as PoolRoute],
    decide: (input) => void asked.push(input),
  });
  expect(host.route(connect, peer)).toMatchObject({ name: 'default' });
  expect(asked).toEqual([
    {
      ...{ clientId: 'meter-1', username: 'ann', protocolVersion: 5, cleanStart: true },
      ...{ sourceAddress: '10.0.0.1', listener: 'mqtts://0.0.0.0:8883', sni: 'a.example', clientCn: 'meter' },
    },
  ]);
});

test.each<readonly [BanKind, string]>([
  ['clientId', 'meter-1'],
  ['username', 'ann'],
  ['clientCn', 'meter'],
  ['source', '10.0.0.0/8'],
])('a device that is banned by %s is refused when it comes, and goes on where it is connected', (kind, value) => {
  const ban = { id: banId(kind, value), kind, value, createdAt: '2026-01-01T00:00:00Z', kick: false };
  const route = { name: 'default' } as PoolRoute;
  const host = hostWith({ routes: [route], bans: new Bans([ban]) });
  expect(host.route(connect, peer)).toBe('banned');
  expect(host.follow({ name: 'gone' } as PoolRoute, connect, peer)).toBe(route);
  expect(host.routeTo('default', connect, peer)).toBe(route);
  const other = { remoteAddress: '192.0.2.1', remotePort: 40_000 };
  expect(host.route({ ...connect, clientId: 'meter-2', username: 'bob' }, other)).toBe(route);
});

test('a client id that is longer than lists show it is banned in the form in which they do', () => {
  const clientId = 'x'.repeat(65_535);
  const value = shownId(clientId);
  expect(value.length).toBeLessThanOrEqual(BAN_VALUE_MAX);
  const ban = { id: banId('clientId', value), kind: 'clientId', value, createdAt: '', kick: false } as const;
  const host = hostWith({ routes: [{ name: 'default' } as PoolRoute], bans: new Bans([ban]) });
  expect(host.route({ ...connect, clientId }, peer)).toBe('banned');
  expect(host.route({ ...connect, clientId: `${clientId}y` }, peer)).toMatchObject({ name: 'default' });
});

describe('one client id', () => {
  /** `meter-1`, `meter-1 relay`: as it is carried; `meter-1 relay unseen`: its login was relayed by AUTH. */
  function hostOf(...devices: readonly string[]) {
    const told: WorkerEvent[] = [];
    const owners = new ClientIds<Connection>({ now: () => 1, tell: undefined });
    const host = hostWith({ owners, now: () => 5, tell: (event) => told.push(event), isShared: true });
    const ended: string[] = [];
    const connections = devices.map((device) => {
      const [clientId, mode, unseen] = device.split(' ');
      const connection = {
        ...{ connect, clientId, peer, placedAtMs: 1, acceptedAtMs: 0, target: { nodeId: 'a' } },
        route: { name: 'default', claimTtlMs: clientId === 'kept' ? 60_000 : 0 },
        session: mode === 'relay' ? undefined : { session: { facts: {}, countAt: () => {} }, history: [] },
        superseded: () => {},
        wire: { numbered: () => {}, countAt: () => {} },
        end: (reason: string) => ended.push(`${device} ${reason}`),
      } as unknown as Connection;
      host.open.add(connection);
      host.placed(connection, unseen === undefined);
      return connection;
    });
    return { host, ended, told, connections };
  }
  const others = Array.from({ length: 100 }, (_, index) => `other-${index}`);

  test('is told of as ended, where nobody reads of single devices, only when its node was lost', () => {
    const { host, told, connections } = hostOf('one', 'two', 'three');
    const [one, two, three] = connections as [Connection, Connection, Connection];
    host.ended(one, 'device-closed', 0, 0);
    host.ended(two, 'session-lost', 0, 0);
    host.ended(three, 'kicked', 0, 0);
    const ends = told.filter(({ type }) => type === 'ended');
    expect(ends).toMatchObject([{ clientId: 'two', reason: 'session-lost' }]);
  });

  test('is found without a look at the others', () => {
    const { host, ended } = hostOf('meter-1', ...others);
    host.open[Symbol.iterator] = () => expect.unreachable('looked at every connection');
    expect(host.clients({ whom: { clientId: 'meter-1' }, limit: 10 })).toMatchObject({
      ...{ total: 1, clients: [{ clientId: 'meter-1' }] },
    });
    expect(host.kick({ type: 'kick', whom: { clientId: 'meter-1' }, untilMs: 1 })).toBe(1);
    expect(host.kick({ type: 'kick', whom: { clientId: 'nobody' }, untilMs: 1 })).toBe(0);
    expect(host.kick({ type: 'kick', whom: { clientId: 'meter-1' }, untilMs: -1 })).toBe(0); // it has come again since then
    expect(ended).toEqual(['meter-1 kicked']);
  });

  test('may be there several times, however it is carried', () => {
    const { host, ended } = hostOf(
      'meter-1',
      'meter-2 relay',
      'meter-1 relay',
      'meter-1',
      'meter-1 relay unseen',
    );
    expect(host.clients({ whom: { clientId: 'meter-1' }, limit: 2 })).toMatchObject({ total: 4 });
    expect(host.kick({ type: 'kick', whom: { clientId: 'meter-1' }, untilMs: 1 })).toBe(4);
    expect(ended).toHaveLength(4);
  });

  test('is listed with each of its connections, which are told apart by their numbers; so are those without one', () => {
    const { host, ended, connections } = hostOf('meter-1', 'meter-1', '', '');
    const { clients } = host.clients({ limit: 10 });
    const listed = clients.map(({ clientId, connection }) => `${clientId} #${connection}`);
    expect(listed.sort()).toEqual([' #3', ' #4', 'meter-1 #1', 'meter-1 #2']);
    expect(host.clients({ whom: { connection: 4 }, limit: 10 })).toMatchObject({ total: 1 });
    expect(host.kick({ type: 'kick', whom: { connection: 1 }, untilMs: 1 })).toBe(1);
    expect(host.kick({ type: 'kick', whom: { connection: 99 }, untilMs: 1 })).toBe(0);
    expect(ended).toEqual(['meter-1 kicked']);
    expect(connections.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  });

  test('is listed, asked for and kicked while no node has its session', () => {
    const { host, connections } = hostOf('meter-1', 'meter-2');
    const [lost] = connections as [Connection, Connection];
    const session = { session: { facts: {} }, history: [], lastTarget: { nodeId: 'b' }, isServed: false };
    Object.assign(lost, { target: undefined, session });
    expect(host.clients({ limit: 10 })).toMatchObject({ total: 2 });
    expect(host.clients({ node: 'b', limit: 10 })).toMatchObject({
      total: 1,
      clients: [{ clientId: 'meter-1' }],
    });
    expect(host.clients({ whom: { clientId: 'meter-1' }, limit: 10 }).clients).toMatchObject([
      { node: 'b', session: { served: false } },
    ]);
    expect(host.kick({ type: 'kick', whom: { clientId: 'meter-1' }, untilMs: 1 })).toBe(1);
  });

  test('that a newer connection has taken over says why it cannot be moved', () => {
    const { host, connections } = hostOf('meter-1');
    Object.assign(connections[0] as Connection, { isSuperseded: true });
    expect(host.clients({ whom: { connection: 1 }, limit: 1 }).clients).toMatchObject([
      { session: { immovable: 'superseded' } },
    ]);
  });

  test('is claimed once the broker has accepted it: a session of a cluster of proxies, and whatever its pool remembers', () => {
    const { told, host, connections } = hostOf(
      'meter-1',
      'meter-2 relay',
      'kept relay',
      'kept relay unseen',
      '',
    );
    const claims = told.filter(({ type }) => type === 'claimed');
    expect(claims).toEqual([
      {
        ...{ type: 'claimed', pool: 'default', clientId: 'meter-1', node: 'a', ttlMs: 600_000 },
        ...{ sinceMs: 1, who: expect.any(Number) },
      },
      expect.objectContaining({ clientId: 'kept', ttlMs: 60_000 }),
    ]);
    for (const connection of connections) host.ended(connection, 'device-closed', 0, 0);
    expect(told.filter(({ type }) => type === 'released')).toEqual([
      { type: 'released', pool: 'default', clientId: 'meter-1' },
      { type: 'released', pool: 'default', clientId: 'kept' },
    ]);
  });
});

describe('a connection goes from one process to another', () => {
  const wire = { numbered: () => {}, countAt: () => {}, setTimer: () => {} } as unknown as Wire;
  const target = { slot: 2, nodeId: 'a', host: '10.0.0.9', port: 1883 };
  const route = { name: 'default', target: (node: string) => (node === 'a' ? target : undefined) };

  function process(websocket?: { path: string }) {
    const told: WorkerEvent[] = [];
    const owners = new ClientIds<Connection>({ now: () => 1, tell: (event) => told.push(event) });
    const table = new TableReader(openTable(createTableMemory(1), 1), 0);
    const routes = [route as unknown as PoolRoute];
    const host = hostWith({ owners, table, routes, now: () => 5_000, tell: (event) => told.push(event) });
    host.listener = { ...host.listener, websocket } as never;
    return {
      host,
      told,
      owners,
      facts: () => [table.liveAt(2), table.countDevice(0), [...host.open].length],
    };
  }

  const inner: HandedMqtt = {
    ...{ version: HANDED_VERSION, kind: 'mqtt', reason: undefined },
    state: {
      ...{ phase: 'carried', pool: 'default', number: 7, placedAgoMs: 2_000, acceptedAtMs: 90, who: 3 },
      rival: undefined,
      forwarder: {
        ...{ kind: 'relay', connect, assignedClientId: undefined, node: 'a', link: 4, halfClosed: false },
      },
    },
  };
  const reader = {
    ...{ expects: 0, flags: 0, missing: 0, length: 0, key: 0, done: 0, isMidMessage: false },
    payload: new Uint8Array(0),
  };
  const socket: HandedConnection = {
    ...{
      version: HANDED_VERSION,
      kind: 'websocket',
      head: undefined,
      reader,
      spliced: 4,
      pongsWaiting: 0,
      inner,
    },
    request: { path: '/mqtt', host: 'a', origin: undefined },
  };

  test.each([
    ['plain', inner, undefined],
    ['by WebSocket', socket, { path: '/mqtt' }],
  ] as const)('%s: it is what it was, is counted, and nobody is told', (_, state, websocket) => {
    const { host, told, owners, facts } = process(websocket);
    const connection = host.revive(wire, peer, state).connection as Connection;
    expect([...host.open]).toEqual([]); // it stands still
    host.open.add(connection);
    expect(connection).toMatchObject({ number: 7, placedAtMs: 3_000, acceptedAtMs: 90, who: 3 });
    expect([facts(), [...owners.named('meter-1')], told]).toEqual([[1, 1, 1], [connection], []]);
    const described = host.describe(connection);
    expect(described).toEqual({ wire, peer: { ...peer, ipv4: undefined, destination: undefined }, state });
    connection.departed();
    expect([facts(), [...owners.named('meter-1')], told]).toEqual([[0, 0, 0], [], []]);
  });

  test('not to a listener that does not speak its protocol, nor to a node that is not known', () => {
    const { host, facts } = process();
    expect(() => host.revive(wire, peer, socket)).toThrow('speaks no WebSocket');
    route.target = () => undefined;
    expect(() => host.revive(wire, peer, inner)).toThrow("node 'a'");
    expect(facts()).toEqual([0, 0, 0]);
  });
});
