import { describe, expect, test } from 'vitest';
import type { Door } from '../../../src/admission/door.ts';
import type { Connection } from '../../../src/connection/connection.ts';
import type { Peer } from '../../../src/connection/wire.ts';
import { ClientIds } from '../../../src/data-plane/client-ids.ts';
import type { PoolRoute } from '../../../src/data-plane/pool-route.ts';
import { createTableMemory, openTable } from '../../../src/data-plane/routing-table.ts';
import { TableReader } from '../../../src/data-plane/table-reader.ts';
import { ListenerWorld, type ThreadContext } from '../../../src/data-plane/thread-world.ts';
import { decodeConnect } from '../../../src/mqtt/connect.ts';
import type { RuleInput } from '../../../src/routing/rules.ts';
import { limits, sessionLimits } from '../connection/scene.ts';
import { connectPacket } from '../mqtt/packets.ts';

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

function worldWith(context: Partial<ThreadContext>): ListenerWorld {
  const table = new TableReader(openTable(createTableMemory(1), 1), 0);
  const whole = { table, limits: { ...limits, ...sessionLimits }, routes: [], threads: 1, ...context };
  const listener = { index: 0, url: 'mqtts://0.0.0.0:8883', pool: 0, mode: 'session' };
  return new ListenerWorld(whole as never, listener as never, {} as Door);
}

test('rules are told all that is known of a device: its CONNECT, its address, its listener and its TLS', () => {
  const asked: RuleInput[] = [];
  const world = worldWith({
    routes: [{ name: 'default' } as PoolRoute],
    decide: (input) => void asked.push(input),
  });
  expect(world.route(connect, peer)).toMatchObject({ name: 'default' });
  expect(asked).toEqual([
    {
      ...{ clientId: 'meter-1', username: 'ann', protocolVersion: 5, cleanStart: true },
      ...{ sourceAddress: '10.0.0.1', listener: 'mqtts://0.0.0.0:8883', sni: 'a.example', clientCn: 'meter' },
    },
  ]);
});

describe('one client id', () => {
  function worldOf(clientIds: readonly string[], modes: readonly string[] = []) {
    const owners = new ClientIds<Connection>({ now: () => 1, tell: undefined });
    const ended: string[] = [];
    const world = worldWith({ owners, now: () => 5, tell: () => {} });
    clientIds.forEach((clientId, index) => {
      const connection = {
        ...{ connect: { ...connect, clientId }, peer, placedAtMs: 1, target: { nodeId: 'a' } },
        session: modes[index] === 'relay' ? undefined : { session: { facts: {} }, history: [] },
        end: (reason: string) => ended.push(`${clientId} ${reason}`),
      } as unknown as Connection;
      world.open.add(connection);
      if (connection.session !== undefined) world.claim(connection);
      world.placed(connection);
    });
    return { world, ended };
  }
  const others = Array.from({ length: 100 }, (_, index) => `other-${index}`);

  test('is found among sessions without a look at the others', () => {
    const { world, ended } = worldOf(['meter-1', ...others]);
    world.open[Symbol.iterator] = () => expect.unreachable('looked at every connection');
    expect(world.clients({ clientId: 'meter-1', limit: 10 })).toMatchObject({
      ...{ total: 1, clients: [{ clientId: 'meter-1' }] },
    });
    expect(world.kick('meter-1', 'kicked')).toBe(1);
    expect(world.kick('nobody', 'kicked')).toBe(0);
    expect(ended).toEqual(['meter-1 kicked']);
  });

  test('may be relayed too, even several times', () => {
    const { world, ended } = worldOf(
      ['meter-1', 'meter-2', 'meter-1', 'meter-1'],
      ['session', 'relay', 'relay', 'relay'],
    );
    expect(world.clients({ clientId: 'meter-1', limit: 2 })).toMatchObject({ total: 3 });
    expect(world.kick('meter-1', 'taken-over')).toBe(3);
    expect(ended).toEqual(Array(3).fill('meter-1 taken-over'));
  });
});
