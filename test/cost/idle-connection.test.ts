import { expect, test } from 'vitest';
import { Connection } from '../../src/connection/connection.ts';
import type { ConnectionHost } from '../../src/connection/connection-host.ts';
import { LinuxWire, type WireHost } from '../../src/engine/linux/wire.ts';
import { usedBytes } from '../support/used-bytes.ts';
import { peer, Scene } from '../unit/connection/scene.ts';
import { SessionScene } from '../unit/connection/session-scene.ts';
import { bytesOf } from '../unit/session/packet-text.ts';

/** What the objects of one connection take that is served and says nothing: its wire, itself, and its relay or session. */

const CONNECTIONS = 4_000;
/** Others that share this heap, such as the compiler, may take some of it in one round, and hardly in each. */
const ROUNDS = 3;
const NODE_FD = 3;

const connack = bytesOf('CONNACK', 4);
const subscribe = bytesOf('SUBSCRIBE #1 cmd/all/#:0 cmd/one/+:1', 4);
const suback = bytesOf('SUBACK #1 0 1', 4);

const nothing = () => {};
const wireHost = {
  ...{ waiting: new Uint32Array(8), table: { number: [] } },
  ...{ write: nothing, hold: nothing, resume: nothing, splice: nothing, setTimer: nothing },
  dial: () => NODE_FD,
} as unknown as WireHost;

/** Every connection has the same host, as in a worker; the clock does not show whole milliseconds. */
function hostOf(scene: Scene | SessionScene): ConnectionHost {
  const { host } = scene.connection as Connection;
  const route = host.route({} as never, peer);
  const quiet = { take: () => true, release: nothing, placed: nothing, dialled: nothing, pending: nothing };
  return { ...host, ...quiet, route: () => route, now: () => 5_000.25 };
}

function idle(host: ConnectionHost, index: number): Connection {
  const connect = bytesOf(`CONNECT id=device-${index} clean keepalive=60`, 4);
  const wire = new LinuxWire(wireHost, index, index + NODE_FD + 1);
  const connection = new Connection(wire, peer, host);
  wire.conversation = connection;
  wire.deviceData(connect, 0, connect.length);
  wire.linkOpened(0);
  wire.linkData(0, connack, 0, connack.length);
  if (host.mode === 'relay') return connection;
  wire.deviceData(subscribe, 0, subscribe.length);
  wire.linkData(0, suback, 0, suback.length);
  return connection;
}

test.each([
  { mode: 'relay', scene: () => new Scene(), most: 430 },
  { mode: 'session', scene: () => new SessionScene(), most: 1_380 },
])('an idle connection takes $most bytes at most in $mode mode', ({ scene, most }) => {
  const host = hostOf(scene());
  const all = Array.from({ length: (ROUNDS + 1) * CONNECTIONS }, () => undefined as Connection | undefined);
  const open = (from: number) => {
    for (let index = from; index < from + CONNECTIONS; index++) all[index] = idle(host, index);
  };
  open(0); // warms up
  const rounds = Array.from({ length: ROUNDS }, (_, round) => {
    const before = usedBytes();
    open((round + 1) * CONNECTIONS);
    return (usedBytes() - before) / CONNECTIONS;
  });
  expect(all.every((each) => (each?.placedAtMs ?? 0) > 0)).toBe(true);
  const bytes = Math.min(...rounds);
  expect(bytes).toBeGreaterThan(most / 2);
  expect(bytes).toBeLessThan(most);
});
