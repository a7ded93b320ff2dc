import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { Aedes, type Client } from 'aedes';
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import { expect, onTestFinished, test, vi } from 'vitest';
import { inMemoryCluster } from '../../../cluster/in-memory.ts';
import { keepPacketIdsApart, type Outgoing } from '../../../cluster/packet-ids.ts';

const session = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clientId: 'd',
  clean: false,
} as const;

/** A device that answers nothing, and what it has heard. */
function connected(aedes: Aedes): { readonly heard: Packet[]; readonly stream: Duplex } {
  const [stream, far] = duplexPair();
  aedes.handle(far as never);
  const heard: Packet[] = [];
  const packets = parser().on('packet', (packet) => heard.push(packet));
  stream.on('data', (chunk) => packets.parse(chunk));
  stream.write(generate({ ...session, keepalive: 0 }));
  return { heard, stream };
}

test('a message gets no packet id that the session has for another one since an earlier connection [MQTT-2.3.1-4]', async () => {
  const { mq, persistence } = await inMemoryCluster().join();
  let nextId = 500; // random with aedes
  const aedes = new Aedes({
    ...{ mq, persistence },
    preConnect(client, _, done) {
      Object.assign(client, { _nextId: nextId });
      done(null, true);
    },
  });
  keepPacketIdsApart(persistence as Outgoing);
  await aedes.listen();
  onTestFinished(() => aedes.close());
  const publish = (payload: string) =>
    new Promise<void>((resolve, reject) =>
      aedes.publish({ cmd: 'publish', topic: 't', payload, qos: 2, retain: false, dup: false }, (error) =>
        error ? reject(error) : resolve(),
      ),
    );

  const before = connected(aedes);
  before.stream.write(
    generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 2 }] } as Packet),
  );
  await vi.waitUntil(() => before.heard.some(({ cmd }) => cmd === 'suback'));
  await publish('delivered');
  await vi.waitUntil(() => before.heard.some(({ cmd }) => cmd === 'publish'));
  const gone = once(aedes, 'clientDisconnect');
  before.stream.end();
  await gone;
  await publish('queued');
  await publish('queued too');

  nextId = 499;
  const { heard } = connected(aedes);
  const messages = () => heard.filter((packet): packet is IPublishPacket => packet.cmd === 'publish');
  await vi.waitUntil(() => messages().length === 3);
  await publish('new');
  await vi.waitUntil(() => messages().length === 4);
  expect(messages().map(({ messageId, payload }) => `${messageId} ${payload}`)).toEqual([
    '500 delivered',
    '499 queued',
    '501 queued too',
    '502 new',
  ]);
});

test('a connection that is closed gives no message a packet id any more, but keeps PUBREC that it has heard [MQTT-4.3.3-10]', async () => {
  const kept: string[] = [];
  const outgoing: Outgoing = {
    async *outgoingStream() {},
    outgoingUpdate: async ({ closed }, { cmd }) => kept.push(`${cmd} ${closed ? 'closed' : 'open'}`),
  };
  keepPacketIdsApart(outgoing);
  for (const closed of [false, true])
    for (const cmd of ['publish', 'pubrel']) await outgoing.outgoingUpdate({ closed } as Client, { cmd });
  expect(kept).toEqual(['publish open', 'pubrel open', 'pubrel closed']);
});
