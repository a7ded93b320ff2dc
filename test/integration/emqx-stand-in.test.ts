import { connect as tcp } from 'node:net';
import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { Stage } from '../../bench/failover/stage.ts';
import { mqttProbe } from '../../src/health/mqtt.ts';
import { main } from '../support/cli.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** The facts that session mode is measured by, as they were seen at three nodes of EMQX 5.3.2. */

const SCALE = 0.05;
const TAKEOVER_MS = 30_000 * SCALE;
const DISCARD_MS = 10_000 * SCALE;
const NEW_CLIENT_MS = 44_000 * SCALE;

async function cluster(version = '5.3') {
  const stage = new Stage(main);
  atEnd(() => stage.strike());
  const env = { EMQX_TIME_SCALE: `${SCALE}`, EMQX_VERSION: version };
  const nodes = await stage.emqx(['emqx-1', 'emqx-2', 'emqx-3'], env);
  const [a, b, c] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
  const watcher = await connected(b.port, 'watcher');
  watcher.say({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'will/#', qos: 0 }] });
  await watcher.hears('suback');
  /** Client ids whose Will was published, once the cluster has said everything that it had to say. */
  const wills = async (): Promise<string[]> => {
    const marker = `${Math.random()}`;
    watcher.say({ cmd: 'publish', topic: 'will/marker', payload: marker, qos: 0, dup: false, retain: false });
    const payloads = () => watcher.heard.flatMap((p) => (p.cmd === 'publish' ? [String(p.payload)] : []));
    await until(() => payloads().includes(marker), 'the marker');
    return payloads().filter((payload) => !payload.startsWith('0.'));
  };
  return { a, b, c, wills };
}

function device(port: number, clientId: string, options: Partial<IConnectPacket> = {}) {
  const protocolVersion = options.protocolVersion ?? 5;
  const socket = tcp(port, '127.0.0.1').on('error', () => {});
  atEnd(() => socket.destroy());
  const heard: Packet[] = [];
  let isClosed = false;
  const packets = parser({ protocolVersion }).on('packet', (packet) => heard.push(packet));
  socket.on('data', (chunk) => packets.parse(chunk));
  socket.once('close', () => {
    isClosed = true;
  });
  const say = (packet: Packet) => void socket.write(generate(packet, { protocolVersion } as never));
  say({
    ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion, clientId, clean: false, keepalive: 0 },
    ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: 60 } }),
    ...options,
  });
  const last = (cmd: Packet['cmd']) => heard.findLast((packet) => packet.cmd === cmd);
  return {
    socket,
    heard,
    say,
    hears: async (cmd: Packet['cmd']) => until(() => last(cmd), `${clientId} to hear ${cmd}`),
    closes: () => until(() => isClosed, `${clientId} to be closed`),
    get isClosed() {
      return isClosed;
    },
  };
}

async function connected(port: number, clientId: string, options: Partial<IConnectPacket> = {}) {
  const made = device(port, clientId, options);
  await made.hears('connack');
  return made;
}

function will(clientId: string): Partial<IConnectPacket> {
  return { will: { topic: `will/${clientId}`, payload: clientId, qos: 0, retain: false } };
}

const took = async (what: Promise<unknown>): Promise<number> => {
  const beganMs = performance.now();
  await what;
  return performance.now() - beganMs;
};

test('a connect with Clean Start 0 elsewhere takes a session over whole: the old link is told 0x8E, no Will is published', async () => {
  const { a, b, wills } = await cluster();
  const old = await connected(a.port, 'd1', will('d1'));
  old.say({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 1 }] });
  await old.hears('suback');
  const next = await connected(b.port, 'd1', will('d1'));
  expect(await next.hears('connack')).toMatchObject({ reasonCode: 0, sessionPresent: true });
  expect(await old.hears('disconnect')).toMatchObject({ reasonCode: 0x8e });
  await old.closes();
  const publisher = await connected(a.port, 'p');
  publisher.say({
    cmd: 'publish',
    topic: 't',
    payload: 'x',
    qos: 1,
    messageId: 1,
    dup: false,
    retain: false,
  });
  expect(await next.hears('publish')).toMatchObject({ topic: 't', qos: 1 });
  expect(await wills()).toEqual([]);
});

test('from 5.6 on a takeover publishes the Will, unless it is delayed', async () => {
  const { a, b, wills } = await cluster('5.6');
  const delayed = {
    will: { ...will('d2').will, properties: { willDelayInterval: 5 } },
  } as Partial<IConnectPacket>;
  const olds = [await connected(a.port, 'd1', will('d1')), await connected(a.port, 'd2', delayed)];
  await connected(b.port, 'd1', will('d1'));
  await connected(b.port, 'd2', delayed);
  for (const old of olds) await old.closes();
  expect(await wills()).toEqual(['d1']);
});

test('a QoS 2 PUBLISH that comes again after a takeover is answered 0x91, its second PUBREL 0x92', async () => {
  const { a, b } = await cluster();
  const old = await connected(a.port, 'd1');
  const publish = { cmd: 'publish', topic: 't', payload: 'x', qos: 2, messageId: 7, retain: false } as const;
  old.say({ ...publish, dup: false });
  expect((await old.hears('pubrec')) as object).not.toHaveProperty('reasonCode', 0x91);
  const next = await connected(b.port, 'd1');
  next.say({ ...publish, dup: true });
  expect(await next.hears('pubrec')).toMatchObject({ messageId: 7, reasonCode: 0x91 });
  next.say({ cmd: 'pubrel', messageId: 7 });
  await next.hears('pubcomp');
  next.say({ cmd: 'pubrel', messageId: 7 });
  await until(() => next.heard.filter(({ cmd }) => cmd === 'pubcomp').length === 2, 'two PUBCOMPs');
  expect(await next.hears('pubcomp')).toMatchObject({ messageId: 7, reasonCode: 0x92 });
});

test('while the node hangs: Clean Start 0 is closed after 30 s, 1 is accepted after 10 s, a second attempt is refused and its Will published', async () => {
  const { a, b, c, wills } = await cluster();
  const [first, second] = await Promise.all(['d1', 'd2'].map((id) => connected(a.port, id, will(id))));
  a.signal('SIGSTOP');
  const asks = device(b.port, 'd1', will('d1'));
  const discards = device(b.port, 'd2', { clean: true });
  const ended = took(asks.closes());
  const accepted = took(discards.hears('connack'));
  await accepted;
  const elsewhere = device(c.port, 'd1', will('d1'));
  expect(await elsewhere.hears('connack')).toMatchObject({ reasonCode: 0x85 });
  expect(await device(c.port, 'd1', { protocolVersion: 4 }).hears('connack')).toMatchObject({
    returnCode: 2,
  });
  expect(await accepted).toBeGreaterThan(DISCARD_MS * 0.9);
  expect(await accepted).toBeLessThan(TAKEOVER_MS * 0.9);
  expect(await ended).toBeGreaterThan(TAKEOVER_MS * 0.9);
  expect(asks.heard).toEqual([]);
  expect(await wills()).toEqual(['d1']);
  a.signal('SIGCONT');
  await second?.closes();
  expect(first?.isClosed).toBe(false);
});

test('a connect that is given up while it waits publishes its Will when it was reset, and none behind DISCONNECT', async () => {
  const { a, b, wills } = await cluster();
  await Promise.all(['d1', 'd2'].map((id) => connected(a.port, id)));
  a.signal('SIGSTOP');
  const reset = device(b.port, 'd1', { ...will('d1'), clean: true });
  const polite = device(b.port, 'd2', { ...will('d2'), clean: true });
  polite.say({ cmd: 'disconnect' });
  await Promise.all([reset, polite].map(({ socket }) => until(() => !socket.connecting, 'a link')));
  reset.socket.resetAndDestroy();
  polite.socket.end();
  await until(async () => (await wills()).length > 0, 'a Will');
  await polite.closes();
  expect(await wills()).toEqual(['d1']);
});

test('when the node goes on, a connect that still waits has the session, and one that gave up leaves a link that hears nothing', async () => {
  const { a, b, wills } = await cluster();
  const [taken, deaf] = await Promise.all(['d1', 'd2'].map((id) => connected(a.port, id, will(id))));
  for (const each of [taken, deaf]) {
    each?.say({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 1 }] });
    await each?.hears('suback');
  }
  const publisher = await connected(b.port, 'publisher');
  const publish = { cmd: 'publish', topic: 't', qos: 1, dup: false, retain: false } as const;
  a.signal('SIGSTOP');
  await device(b.port, 'd2', will('d2')).closes();
  const waits = device(b.port, 'd1', will('d1'));
  publisher.say({ ...publish, payload: 'meanwhile', messageId: 1 });
  await publisher.hears('puback');
  a.signal('SIGCONT');
  expect(await waits.hears('connack')).toMatchObject({ sessionPresent: true });
  await taken?.closes();
  publisher.say({ ...publish, payload: 'later', messageId: 2 });
  const heard = () =>
    waits.heard.flatMap((packet) => (packet.cmd === 'publish' ? [`${packet.payload}`] : []));
  await until(() => heard().includes('later'), 'what is published when the session is there');
  expect(heard()).toEqual(['later']); // the rest came to the node behind the question for the session
  deaf?.say({ cmd: 'pingreq' });
  await deaf?.hears('pingresp');
  expect(deaf?.heard.filter(({ cmd }) => cmd === 'publish')).toEqual([]);
  expect(await wills()).toEqual([]);
});

test('while the node hangs the others answer a new client late; after SIGKILL at once, and the session has gone', async () => {
  const { a, b } = await cluster();
  await connected(a.port, 'd1');
  a.signal('SIGSTOP');
  expect(await took(connected(b.port, 'new'))).toBeGreaterThan(NEW_CLIENT_MS * 0.9);
  a.signal('SIGKILL');
  await until(async () => {
    const attempt = device(b.port, 'd1', { properties: { sessionExpiryInterval: 0 } });
    await until(() => attempt.isClosed || attempt.heard.length > 0, 'an answer');
    const [answer] = attempt.heard;
    return answer?.cmd === 'connack' && answer.reasonCode === 0 && !answer.sessionPresent;
  }, 'the session to be gone');
});

test('while a node hangs, the `mqtt` probe passes at those that live, and fails at the one that does not', async () => {
  const { a, b, c } = await cluster();
  a.signal('SIGSTOP');
  const probe = ({ port, id }: typeof a) =>
    mqttProbe({ nodeId: id, host: '127.0.0.1', port, path: '/' }, { timeoutMs: NEW_CLIENT_MS / 2 });
  await Promise.all([probe(b), probe(c)]);
  await expect(probe(a)).rejects.toMatchObject({ code: 'PROBE_TIMEOUT' });
});
