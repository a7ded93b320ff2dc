import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOf, type Version } from '../session/packet-text.ts';
import { anySession } from './handed-values.ts';
import { goOn, PACE_MS, SessionScene, served } from './session-scene.ts';

// Two processes, or one: the device and the nodes must not be able to tell. Each play is played twice, once with a session that
// goes to another process at any moment at which it can.

const long = 'x'.repeat(90); // streams, because it is larger than may be kept
const fromDevice: Record<Version, readonly string[]> = {
  3: [],
  4: [
    ...['PUBLISH t=x', 'PUBLISH q1 #1 t=x', 'PUBLISH q2 #2 t=x', 'PUBREL #2', 'PUBLISH q2 dup #2 t=x'],
    ...['PUBACK #7', 'PUBREC #8', 'PUBCOMP #8', 'PUBACK #65535', 'PINGREQ', 'SUBSCRIBE #3 t:1 u/#:2'],
    ...['UNSUBSCRIBE #4 t', 'SUBSCRIBE #5 v/+:0', `PUBLISH t=${long}`, `PUBLISH q1 #6 t=${long}`],
  ],
  5: [
    ...['PUBLISH q1 #1 topicAlias:1 t=x', 'PUBLISH q1 #9 topicAlias:1 =y', 'PUBLISH topicAlias:2 t/2=x'],
    ...['PUBLISH q2 #2 t=x', 'PUBREL #2', 'PUBACK #7', 'PUBREC #8', 'PUBREC #8 code=128', 'PUBCOMP #8'],
    ...['SUBSCRIBE #3 subscriptionIdentifier:7 t:1+nl u/#:2+rap', 'UNSUBSCRIBE #4 t', 'PINGREQ'],
    ...[`PUBLISH q1 #6 t=${long}`, `PUBLISH topicAlias:1 t=${long}`, 'AUTH code=24'],
  ],
};
const fromNode: Record<Version, readonly string[]> = {
  3: [],
  4: [
    ...['PUBLISH q1 #7 u=x', 'PUBLISH q2 #8 u=x', 'PUBLISH q2 dup #8 u=x', 'PUBREL #8', 'PUBLISH u=x'],
    ...['PUBACK #1', 'PUBREC #2', 'PUBCOMP #2', 'SUBACK #3 1 2', 'SUBACK #1 1', 'UNSUBACK #4'],
    ...['PINGRESP', `PUBLISH u=${long}`, `PUBLISH q1 #9 retain u=${long}`, 'PUBLISH q1 #7 retain u=x'],
  ],
  5: [
    ...['PUBLISH q1 #7 topicAlias:3 u=x', 'PUBLISH q1 #10 topicAlias:3 =z', 'PUBLISH q2 #8 u=x', 'PUBREL #8'],
    ...['PUBACK #1 code=16', 'PUBREC #2', 'PUBREC #2 code=145', 'PUBCOMP #2', 'SUBACK #3 1 2'],
    ...['SUBACK #1 1', 'UNSUBACK #4 0', 'PINGRESP', `PUBLISH q2 #9 u=${long}`, 'AUTH code=24'],
  ],
};
const answers: Record<Version, readonly string[]> = {
  3: [],
  4: ['CONNACK', 'CONNACK present', 'CONNACK code=3'],
  5: [
    ...['CONNACK receiveMaximum:1 topicAliasMaximum:2', 'CONNACK present topicAliasMaximum:1', 'CONNACK'],
    ...['CONNACK serverKeepAlive:5 present', 'CONNACK code=137'],
  ],
};
const connects: Record<Version, readonly string[]> = {
  3: [],
  4: [
    'CONNECT id=dev clean',
    'CONNECT id=dev will=gone keepalive=10',
    'CONNECT clean',
    'CONNECT id=dev user=u',
  ],
  5: [
    ...['CONNECT id=dev keepalive=3', 'CONNECT id=dev clean will=gone receiveMaximum:2 topicAliasMaximum:9'],
    ...['CONNECT id=dev sessionExpiryInterval:60 receiveMaximum:1', 'CONNECT id= clean topicAliasMaximum:4'],
  ],
};
/** What a device and a node say last, or what ends what can be understood. */
const last = ['DISCONNECT', 'RAW 30 ff ff ff ff 01', 'RAW 82 03 00 09 00'];
const words: Record<Version, readonly string[]> = {
  3: [],
  4: [],
  5: ['DISCONNECT code=156', 'DISCONNECT code=142'],
};
const orders = [
  ...['move drain', 'move move to=c', 'check', 'verdict lives', 'verdict no-answer', 'turn', 'end shutdown'],
  ...['supersede other'],
];

type Act = (scene: SessionScene) => void;

/**
 * What may happen now, as far as the wire's contract allows it; the same for both scenes of a play. Mostly that is traffic, and
 * where no node serves what leads to one: otherwise few sessions would live for long.
 */
function chances(scene: SessionScene, piece: number): Act[] {
  if (scene.isClosed) return [];
  const isServed = scene.connection.session?.isServed ?? false;
  if (piece % 12 === 0) return turnsOfFate(scene, piece);
  return isServed || piece % 3 === 0 ? traffic(scene, piece) : waysOut(scene);
}

/** No node serves: what may end that. */
function waysOut(scene: SessionScene): Act[] {
  const found = [
    say('time', '50'),
    say('time', '1000'),
    say('owner', 'turn'),
    say('owner', 'verdict refused'),
  ];
  for (const [who, state] of whoIsThere(scene)) {
    if (state === 'dialling') return [say(who, 'opens')];
    if (state !== 'open') continue;
    for (const text of answers[scene.version]) if (!text.includes('code')) found.push(say(who, text));
    found.push(say(who, 'SUBACK #1 1 2'), say(who, 'SUBACK #1 2 2'), say(who, 'SUBACK #65534 2'));
  }
  return found;
}

const say = (who: string, what: string): Act => {
  return (on) => on.say(who, what);
};

function traffic(scene: SessionScene, piece: number): Act[] {
  const { version } = scene;
  const found = [say('loop', ''), say('time', '50'), say('time', '700')];
  const listens = isAlive(scene) && !scene.held;
  for (const text of listens ? fromDevice[version] : [])
    found.push((on) => on.deviceSaysPart(bytesOf(text, version), piece));
  for (const [who, state] of whoIsThere(scene))
    for (const text of state === 'open' ? fromNode[version] : [])
      found.push((on) => on.nodeSaysPart(who, bytesOf(text, version), piece));
  return found;
}

function turnsOfFate(scene: SessionScene, piece: number): Act[] {
  const found = ['1000', '4000', '12000'].map((ms) => say('time', ms));
  for (const order of orders)
    if (!order.startsWith('supersede') || scene.connection.placedAtMs > 0) found.push(say('owner', order));
  if (isAlive(scene) && piece === 0) found.push(say('device', 'fin'), say('device', 'reset'));
  if (isAlive(scene) && !scene.held) for (const text of last) found.push(say('device', text));
  for (const [who, state] of whoIsThere(scene)) {
    if (state === 'dialling') for (let n = 0; n < 9; n++) found.push(say(who, n < 8 ? 'opens' : 'refuses'));
    if (state !== 'open') continue;
    for (const text of [...answers[scene.version], ...words[scene.version]]) found.push(say(who, text));
    for (const end of ['fin', 'reset']) found.push(say(who, end));
  }
  if (scene.deviceDone !== undefined && scene.links.size === 0) found.push(say('wire', 'closed'));
  return found;
}

function whoIsThere(scene: SessionScene): (readonly [who: string, state: string])[] {
  const links = [...scene.links.values()];
  return links.map(({ node, state }, i) => {
    return [links.slice(i + 1).some((link) => link.node === node) ? `old ${node}` : node, state] as const;
  });
}

interface Play {
  readonly version: Version;
  readonly connect: number;
  readonly answer: number;
  readonly isMetered: boolean;
  readonly asks: boolean;
  readonly queues: boolean;
  /** What happens, how much of a packet comes at once, and whether the session goes to another process before. */
  readonly steps: readonly (readonly [choice: number, piece: number, hands: boolean])[];
}

const plays: fc.Arbitrary<Play> = fc.record({
  version: fc.constantFrom<Version>(4, 5),
  connect: fc.nat(),
  answer: fc.nat(),
  isMetered: fc.boolean(),
  asks: fc.boolean(),
  queues: fc.boolean(),
  steps: fc.array(fc.tuple(fc.nat(), fc.nat(59), fc.boolean()), { minLength: 60, maxLength: 120 }),
});

function begun({ version, connect, answer, isMetered, asks, queues }: Play): SessionScene {
  const options = { version, maxPacketBytes: 64, maxOfflineBytes: 200, queues };
  const scene = new SessionScene({
    ...options,
    ...(asks && { evidence: 'ask' as const }),
    ...(isMetered && { rates: { messageRate: 2, byteRate: 0 } }),
  });
  const texts = connects[version];
  scene.deviceSays(bytesOf(texts[connect % texts.length] ?? '', version));
  scene.say('a', 'opens');
  const accepted = answers[version].filter((text) => !text.includes('code'));
  scene.say('a', accepted[answer % accepted.length] ?? '');
  return scene;
}

/** All that anybody can notice. */
function seen(scene: SessionScene): string {
  const { outputs, held, deviceDone, timerAtMs, nowMs } = scene;
  scene.outputs = [];
  const timerMs = timerAtMs && Math.round(timerAtMs - nowMs);
  scene.nodesClose(); // links that were left are counted by the process that left them
  const counted = [...scene.counted].filter(([, count]) => count > 0);
  const bytes = Buffer.concat(outputs).toString('hex');
  const links = [...scene.links.values()];
  return JSON.stringify({ did: scene.did(), bytes, held, deviceDone, timerMs, counted, links });
}

function isAlive(scene: SessionScene): boolean {
  return !scene.isClosed && scene.deviceDone === undefined && scene.deviceEnd === undefined;
}

test('whatever happens, a session that another process goes on with does byte for byte what it would have done', () => {
  let handed = 0;
  fc.assert(
    fc.property(plays, (play) => {
      const [stays, travels] = [begun(play), begun(play)];
      for (const [choice, piece, hands] of play.steps) {
        if (hands) travels.handOver();
        const possible = chances(stays, piece);
        const act = possible[choice % possible.length];
        if (act === undefined) break;
        act(stays);
        act(travels);
        expect(seen(travels)).toBe(seen(stays));
      }
      handed += travels.handed;
    }),
    { numRuns: 400 },
  );
  expect(handed).toBeGreaterThan(1_000);
});

/** Nodes answer what they are asked, and time passes. */
function settle(scene: SessionScene, isDone: () => boolean): boolean {
  for (let round = 0; round < 200 && isAlive(scene); round++) {
    if (isDone()) return true;
    scene.turns();
    for (const [, { node, state }] of [...scene.links]) if (state === 'dialling') scene.say(node, 'opens');
    const asked = scene.did().flatMap((line) => /^(\w) gets (CONNECT|PINGREQ)/.exec(line)?.slice(1) ?? []);
    for (let at = 0; at < asked.length; at += 2) {
      const node = asked[at] ?? '';
      const isThere = [...scene.links.values()].some((link) => link.node === node && link.state === 'open');
      if (isThere && isAlive(scene)) scene.say(node, asked[at + 1] === 'CONNECT' ? 'CONNACK' : 'PINGRESP');
    }
    if (isAlive(scene)) scene.say('owner', 'verdict refused');
    if (isAlive(scene)) scene.pass(1_000);
  }
  return !isAlive(scene);
}

test('whatever happens, a session can go over again when that is through, or its device has gone', () => {
  fc.assert(
    fc.property(plays, (play) => {
      const scene = begun(play);
      for (const [choice, piece] of play.steps) {
        const possible = chances(scene, piece);
        possible[choice % possible.length]?.(scene);
      }
      expect(settle(scene, () => scene.connection.describe() !== undefined)).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test('whatever happens, a session whose thread ends is served again if it goes over', () => {
  let handed = 0;
  fc.assert(
    fc.property(plays, (play) => {
      const scene = begun(play);
      for (const [choice, piece] of play.steps.slice(0, play.answer % 40)) {
        const possible = chances(scene, piece);
        possible[choice % possible.length]?.(scene);
      }
      if (!isAlive(scene)) return;
      scene.connection.stepBack();
      scene.handOver();
      handed += scene.handed;
      if (scene.handed > 0)
        expect(settle(scene, () => scene.connection.session?.isServed === true)).toBe(true);
    }),
    { numRuns: 400 },
  );
  expect(handed).toBeGreaterThan(100);
});

const metered = { version: 5, maxPacketBytes: 64, rates: { messageRate: 9, byteRate: 99 } } as const;

test('whatever a session has, another process has the same, in each field', () => {
  fc.assert(
    fc.property(anySession, (value) => {
      const scene = new SessionScene(metered);
      scene.takeOver(value);
      expect(scene.connection.describe()).toEqual(value);
    }),
    { numRuns: 500 },
  );
});

describe('a session', () => {
  test('goes to another process and back to its device’s service, with what nobody has acknowledged', () => {
    const scene = served();
    scene.say('device', 'SUBSCRIBE #1 t:1');
    scene.say('a', 'SUBACK #1 1');
    scene.say('device', 'PUBLISH q1 #2 t=x');
    scene.handOver();
    scene.did();
    scene.say('a', 'reset');
    scene.pass(40);
    scene.say('b', 'opens');
    scene.say('b', 'CONNACK');
    scene.say('b', 'SUBACK #1 1');
    expect(scene.handed).toBe(1);
    expect(scene.did()).toEqual([
      ...['a lost: reset', 'end a: reset', 'dial b', 'b gets CONNECT id=dev', 'b gets SUBSCRIBE #1 t:1'],
      ...['b gets PUBLISH #2 q1 dup t=x', 'moved (link-lost) from a to b rebuilt after 40'],
    ]);
  });

  test('is not ended for what it was sent long ago, because a node before went at once', () => {
    const loses = (node: string, verdict: string) => `
      ${node}: reset
        ${node} lost: reset
        end ${node}: reset
        is ${node} gone?
      owner: verdict ${verdict}`;
    const asks = (node: string) => `
      time: ${PACE_MS}
        dial ${node}
      ${node}: opens
        ${node} gets CONNECT id=dev
      ${node}: CONNACK present
        ${node} gets PUBLISH #1 q1 dup t=x`;
    const scene = goOn(
      served('CONNECT id=dev', { evidence: 'ask' }),
      `
      -- a dies with a message under way. b is removed a moment after it was sent it, and a, which is back, lives on with it.
      device: PUBLISH q1 #1 t=x
        a gets PUBLISH #1 q1 t=x${loses('a', 'refused')}${asks('b')}
        moved (link-lost) from a to b present after ${PACE_MS}${loses('b', 'removed')}${asks('a')}
        moved (link-lost) from b to a present after ${PACE_MS}
      time: 1000`,
    );
    scene.handOver();
    expect(scene.handed).toBe(1);
    goOn(scene, loses('a', 'refused'));
    expect(scene.deviceDone).toBeUndefined();
  });
});

describe('a session whose thread ends', () => {
  test('is asked for anew where no node has accepted it, with all that the device has said', () => {
    const scene = new SessionScene();
    scene.say('device', 'CONNECT id=dev | PUBLISH q1 #1 t=x');
    scene.say('a', 'opens');
    scene.say('device', 'PUBLISH t=y');
    scene.connection.stepBack();
    scene.handOver();
    scene.say('time', '1');
    scene.say('a', 'opens');
    scene.say('a', 'CONNACK');
    expect(scene.handed).toBe(1);
    expect(scene.did()).toEqual([
      ...['dial a', 'a gets CONNECT id=dev', 'a gets DISCONNECT', 'end a: flush', 'read device'],
      ...['dial a', 'a gets CONNECT id=dev', 'a gets PUBLISH #1 q1 t=x', 'a gets PUBLISH t=y'],
      ...['device gets CONNACK', 'placed at a'],
    ]);
    expect([...scene.counted]).toEqual([['a', 1]]);
  });

  test('stays at the node that was to be left', () => {
    const scene = served();
    scene.say('owner', 'move drain');
    scene.say('b', 'opens');
    scene.say('device', 'PUBLISH t=x');
    scene.did();
    scene.connection.stepBack();
    scene.handOver();
    expect(scene.handed).toBe(1);
    expect(scene.did()).toEqual([
      'end b: reset',
      'moved (drain) from a to nowhere after 0',
      'a gets PUBLISH t=x',
    ]);
    scene.say('device', 'PUBLISH t=y');
    expect(scene.did()).toEqual(['a gets PUBLISH t=y']);
  });

  test('stays at a node that hangs, and that is found anew', () => {
    const scene = served('CONNECT id=dev', { evidence: 'ask' });
    const hangs = () => {
      for (const order of ['check', 'verdict no-answer']) {
        scene.say('owner', order);
        scene.pass(2_000);
      }
      return scene.did();
    };
    expect(hangs()).toContain('dial b');
    scene.say('device', 'PUBLISH q1 #1 t=x');
    scene.connection.stepBack();
    scene.handOver();
    expect([scene.handed, scene.did()]).toEqual([1, ['end b: reset', 'a gets PUBLISH #1 q1 t=x']]);
    expect(hangs()).toContain('dial b');
  });

  test('is asked for anew while it moves, with what nobody has acknowledged; who was asked hears a goodbye', () => {
    const scene = served();
    scene.say('device', 'PUBLISH q1 #1 t=x');
    scene.say('a', 'reset');
    scene.pass(40);
    scene.say('b', 'opens');
    scene.say('device', 'PUBLISH q1 #2 t=y');
    scene.did();
    scene.connection.stepBack();
    scene.handOver();
    expect([scene.handed, scene.did()]).toEqual([1, ['b gets DISCONNECT', 'end b: flush']]);
    scene.say('device', 'PINGREQ');
    scene.pass(41);
    scene.say('b', 'opens');
    scene.say('b', 'CONNACK present');
    expect(scene.did()).toEqual([
      ...['device gets PINGRESP', 'dial b', 'b gets CONNECT id=dev', 'b gets PINGREQ'],
      ...['b gets PUBLISH #1 q1 dup t=x', 'b gets PUBLISH #2 q1 t=y'],
      ...['moved (link-lost) from a to b present after 81'],
    ]);
    expect([...scene.counted]).toEqual([
      ['a', 0],
      ['b', 1],
    ]);
  });

  test('does not go while nobody knows whether its node is gone', () => {
    const scene = served('CONNECT id=dev', { evidence: 'ask' });
    scene.say('a', 'reset');
    scene.connection.stepBack();
    scene.handOver();
    expect(scene.handed).toBe(0);
  });
});
