import { once } from 'node:events';
import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { connectDevice, openSocket } from '../support/devices.ts';
import { endOf } from '../support/fake-node.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

// How long a device may be silent is the broker's to say. mosquitto looks every five seconds, so it is laxer than the standard with
// short keep-alives, and ends several silent devices at one moment, as its death would.

const keepAlives = [1, 2, 5];
const versions = [4, 5] as const;

interface Fate {
  /** All bytes behind CONNACK. */
  readonly heard: string;
  readonly end: string;
  /** What had become of it at the broker by then. */
  readonly word: string | undefined;
}

test('silent devices have the fate that their broker gives them, and nobody moves them [MQTT-3.1.2-22]', async () => {
  const brokers = await Promise.all([startMosquitto(), startMosquitto()]);
  const breakwater = await startBreakwater({
    pools: { default: { nodes: brokers.map(({ url }) => ({ url })) } },
  });
  const output = (): string => brokers.map((broker) => broker.output()).join('');
  const wordOn = (id: string) => new RegExp(`Client ${id} (.*?),? disconnecting`).exec(output())?.[1];
  const wills: string[] = [];
  for (const { port } of brokers) {
    const { socket } = await connectDevice(port, `watcher-${port}`, { keepAlive: 0 });
    socket.on('data', (bytes: Buffer) => {
      for (const [topic] of bytes.toString('latin1').matchAll(/will-[a-z0-9-]+/g)) wills.push(topic);
    });
    socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] }));
    await once(socket, 'data');
  }

  async function fall(
    port: number,
    clientId: string,
    protocolVersion: 4 | 5,
    keepalive: number,
  ): Promise<Fate> {
    const socket = openSocket(port);
    const will = { topic: `will-${clientId}`, payload: Buffer.from('.'), qos: 0, retain: false } as const;
    const connect = { cmd: 'connect', protocolId: 'MQTT', clean: true, clientId, keepalive, will } as const;
    socket.write(generate({ ...connect, protocolVersion }));
    await once(socket, 'data');
    const heard: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => heard.push(chunk));
    const end = await endOf(socket);
    const word = wordOn(clientId);
    socket.destroy();
    return { heard: Buffer.concat(heard).toString('hex'), end, word };
  }

  const pairs = versions.flatMap((version) => keepAlives.map((seconds) => ({ version, seconds })));
  const fates = await Promise.all(
    pairs.map(({ version, seconds }) =>
      Promise.all([
        fall(brokers[0]?.port ?? 0, `direct-${version}-${seconds}-s`, version, seconds),
        fall(breakwater.port, `proxied-${version}-${seconds}-s`, version, seconds),
      ]),
    ),
  );
  for (const [direct, proxied] of fates) {
    expect(direct.word).toContain('exceeded timeout');
    expect(proxied).toEqual(direct);
  }
  await until(() => wills.length >= 2 * pairs.length, 'the Wills');
  const ids = pairs.flatMap(({ version, seconds }) => [
    `direct-${version}-${seconds}-s`,
    `proxied-${version}-${seconds}-s`,
  ]);
  expect(wills.sort()).toEqual(ids.map((id) => `will-${id}`).sort());
  for (const id of ids) expect(output().split(` as ${id} (`)).toHaveLength(2);
  const moved = breakwater
    .logs()
    .filter(({ msg }) => msg.startsWith('session') || msg.startsWith('links to the node'));
  expect(moved).toEqual([]);
});
