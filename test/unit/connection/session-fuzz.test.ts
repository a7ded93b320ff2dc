import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOf, type Version } from '../session/packet-text.ts';
import { SessionScene } from './session-scene.ts';

// Any order of events, as far as the wire's contract allows them. What is forbidden throws in the scene.

const fromDevice = [
  ...['PUBLISH t=x', 'PUBLISH q1 #1 t=x', 'PUBLISH q2 #2 t=x', 'PUBREL #2', 'PUBACK #7', 'PINGREQ'],
  ...['SUBSCRIBE #3 t:1', 'UNSUBSCRIBE #4 t', 'DISCONNECT', 'CONNECT id=dev', `PUBLISH t=${'x'.repeat(70)}`],
];
const fromNode = [
  ...['CONNACK', 'CONNACK', 'CONNACK present', 'PUBLISH q1 #7 u=x', 'PUBLISH u=x', 'PUBACK #1', 'PUBREC #2'],
  ...['SUBACK #3 1', 'SUBACK #1 1', 'UNSUBACK #4 0', 'PINGRESP'],
];
const refusals: Record<Version, readonly string[]> = {
  3: [],
  4: ['CONNACK code=3', 'CONNACK code=5'],
  5: ['CONNACK code=136', 'CONNACK code=135', 'DISCONNECT code=156', 'DISCONNECT code=142', 'AUTH code=24'],
};
const connects: Record<Version, readonly string[]> = {
  3: [],
  4: ['CONNECT id=dev clean', 'CONNECT id=dev will=gone keepalive=10', 'CONNECT clean'],
  5: [
    'CONNECT id=dev keepalive=3',
    'CONNECT id=dev clean will=gone',
    'CONNECT id=dev authenticationMethod:X',
  ],
};
const orders = [
  'move drain',
  'move move to=c',
  'check',
  'check',
  'verdict lives',
  'verdict no-answer',
  'end kicked',
  'end taken-over',
  'end shutdown',
];

type Chance = readonly [who: string, what: string];

function chances(scene: SessionScene): Chance[] {
  if (scene.isClosed) return [];
  const found: Chance[] = [
    ['time', '50'],
    ['time', '1000'],
    ['time', '12000'],
    ...orders.map((order): Chance => ['owner', order]),
  ];
  if (scene.connection.placedAtMs > 0) found.push(['owner', 'supersede same'], ['owner', 'supersede other']);
  const listening = scene.deviceDone === undefined && scene.deviceEnd === undefined;
  if (listening) for (const end of ['fin', 'reset', 'timeout']) found.push(['device', end]);
  if (listening && !scene.held) for (const text of fromDevice) found.push(['device', text]);
  for (const [i, { node, state }] of [...scene.links.values()].entries()) {
    const isOld = [...scene.links.values()].slice(i + 1).some((link) => link.node === node);
    const who = isOld ? `old ${node}` : node;
    if (state === 'dialling') found.push([who, 'opens'], [who, 'opens'], [who, 'refuses']);
    if (state !== 'open') continue;
    for (const text of [...fromNode, ...refusals[scene.version]]) found.push([who, text]);
    for (const end of ['fin', 'reset']) found.push([who, end]);
  }
  if (scene.deviceDone !== undefined && scene.links.size === 0) found.push(['wire', 'closed']);
  return found;
}

interface Play {
  readonly version: Version;
  readonly connect: number;
  readonly takeoverFiresWill: boolean;
  /** What shows that a node is gone comes later. */
  readonly asks: boolean;
  /** Most plays begin with a device that is served, or few would get there. */
  readonly isServed: boolean;
  /** Orders that come first. */
  readonly begins?: readonly string[];
  readonly choices: readonly number[];
}

const plays: fc.Arbitrary<Play> = fc.record({
  version: fc.constantFrom<Version>(4, 5),
  connect: fc.nat(),
  takeoverFiresWill: fc.boolean(),
  asks: fc.boolean(),
  isServed: fc.boolean(),
  choices: fc.array(fc.nat(), { maxLength: 80 }),
});

function play(
  { version, connect, takeoverFiresWill, asks, isServed, begins = [], choices }: Play,
  afterEach: (scene: SessionScene, what: string) => void,
): SessionScene {
  const evidence = asks ? ({ evidence: 'ask' } as const) : {};
  const scene = new SessionScene({ version, takeoverFiresWill, maxPacketBytes: 64, ...evidence });
  const connectTexts = connects[version];
  scene.deviceSays(bytesOf(connectTexts[connect % connectTexts.length] ?? '', version));
  if (isServed) {
    scene.say('a', 'opens');
    scene.say('a', 'CONNACK');
    for (const order of begins) scene.say('owner', order);
    if (begins.length > 0) scene.did();
  }
  for (const choice of choices) {
    const possible = chances(scene);
    const [who, what] = possible[choice % possible.length] ?? [];
    if (who === undefined || what === undefined) break;
    scene.say(who, what);
    afterEach(scene, what);
  }
  return scene;
}

test('whatever happens, every count is given back, the end is told once, and no secret is kept', () => {
  fc.assert(
    fc.property(plays, (choice) => {
      const scene = play(choice, () => {});
      const session = scene.connection.session?.session;
      scene.connection.end('shutdown');
      if (!scene.isClosed) scene.closes();
      expect([...scene.counted.values()].every((count) => count === 0)).toBe(true);
      expect([scene.ends, scene.lefts, Reflect.get(session ?? {}, 'wiped')]).toEqual([1, 1, true]);
    }),
    { numRuns: 3_000 },
  );
});

test('whatever happens, a connection has a timer, or is over', () => {
  fc.assert(
    fc.property(plays, (choice) => {
      play(choice, (scene) => {
        if (scene.isClosed || scene.deviceDone === 'reset') return;
        expect(scene.timerAtMs).toBeDefined();
      });
    }),
    { numRuns: 3_000 },
  );
});

test('whatever happens, one place is counted at a time: where it is served, or asked; and where it leaves', () => {
  fc.assert(
    fc.property(plays, (choice) => {
      play(choice, (scene) => {
        scene.nodesClose();
        const counted = [...scene.counted.values()].reduce((sum, count) => sum + count, 0);
        const { session } = scene.connection;
        const isSilent = session?.session.isWithheld ?? false;
        const leaves = session !== undefined && (scene.links.size > 1 || session.upstream.at.oldLink >= 0);
        expect(counted).toBeLessThanOrEqual(leaves || isSilent ? 2 : 1);
      });
    }),
    { numRuns: 1_000 },
  );
});

test('whatever happens, time ends it once its device has gone', () => {
  fc.assert(
    fc.property(plays, (choice) => {
      const scene = play(choice, () => {});
      if (scene.isClosed) return;
      if (scene.deviceDone === undefined && scene.deviceEnd === undefined) scene.say('device', 'reset');
      for (let i = 0; i < 200; i++) scene.pass(1_000);
      expect([scene.deviceDone !== undefined, scene.links.size]).toEqual([true, 0]);
    }),
    { numRuns: 1_000 },
  );
});

const supersededPlays = fc.tuple(plays, fc.boolean()).map(([play, moves]): Play => {
  const begins = moves ? ['move drain', 'supersede same'] : ['supersede same'];
  return { ...play, isServed: true, begins, choices: play.choices.slice(0, 20) };
});

test('whatever happens, no node is asked any more for a session that a newer connection has (rule 14)', () => {
  fc.assert(
    fc.property(supersededPlays, (choice) => {
      play(choice, (scene, what) => {
        const wanted = what === 'opens' ? /gets CONNECT/ : /^dial /;
        const asked = scene.did().filter((line) => wanted.test(line));
        expect(asked).toEqual([]);
      });
    }),
    { numRuns: 1_000 },
  );
});
