import fc from 'fast-check';
import { expect, test } from 'vitest';
import { body, message, named, records } from '../protocol/tls-hello/hellos.ts';
import { packet, retryPolicy, Scene } from './scene.ts';

const hello = Buffer.from(records(message(body(named('a.example')))));

/** What may happen next to a connection, as far as the wire's contract allows it at this moment. */
function moves(scene: Scene): (() => void)[] {
  if (scene.isClosed) return [];
  const link = scene.links.get(scene.dials - 1);
  const listening = scene.deviceDone === undefined;
  const speaking = listening && scene.deviceEnd === undefined && !scene.held && scene.spliced === undefined;
  const served = scene.spliced !== undefined;
  const answers = [packet.ACCEPTED, packet.UNAVAILABLE, packet.BAD_LOGIN, packet.ACCEPTED.subarray(0, 3)];
  return [
    ...(speaking ? [() => scene.says(packet.CONNECT), () => scene.says('more'), () => scene.says('')] : []),
    ...(speaking
      ? [...packet.CONNECT.keys()].map((cut) => () => scene.says(packet.CONNECT.subarray(0, cut)))
      : []),
    ...(listening && scene.deviceEnd === undefined
      ? (['fin', 'reset', 'timeout'] as const).map((cause) => () => scene.deviceEnds(cause))
      : []),
    ...(listening && link === 'dialling' ? [() => scene.opens(), () => scene.refuses()] : []),
    ...(listening && link === 'open' && !served ? answers.map((answer) => () => scene.node(answer)) : []),
    ...(listening && link === 'open' ? [() => scene.nodeEnds('fin'), () => scene.nodeEnds('reset')] : []),
    () => scene.judges('no-answer'),
    () => scene.judges(undefined),
    () => scene.after(1_000),
    () => scene.after(10_000),
    () => scene.connection.end('kicked'),
    ...(listening ? [] : [() => scene.closes()]),
  ];
}

const chances = fc.array(fc.nat(), { maxLength: 60 });

/** Half of all plays begin with a whole CONNECT, or nearly none would get beyond it. */
function play(begun: boolean, choices: readonly number[], afterEach: (scene: Scene) => void): Scene {
  const scene = new Scene({ lives: true });
  if (begun) scene.says(packet.CONNECT);
  for (const choice of choices) {
    const possible = moves(scene);
    possible[choice % possible.length]?.();
    afterEach(scene);
  }
  return scene;
}

test('whatever happens, every count is given back and the end is told once', () => {
  // Counting twice, releasing twice, a second link and any call after the end throw in the scene.
  fc.assert(
    fc.property(fc.boolean(), chances, (begun, choices) => {
      const scene = play(begun, choices, () => {});
      scene.connection.end('shutdown');
      if (!scene.isClosed) scene.closes();
      expect([scene.counted, scene.ends, scene.lefts]).toEqual([0, 1, 1]);
    }),
    { numRuns: 2_000 },
  );
});

test('whatever happens, a connection that is not simply served has a timer, or is over', () => {
  fc.assert(
    fc.property(fc.boolean(), chances, (begun, choices) => {
      play(begun, choices, (scene) => {
        const served = scene.spliced !== undefined && scene.deviceEnd === undefined;
        if (served && scene.links.get(scene.spliced ?? -1) === 'open') return;
        expect(scene.timerAtMs !== undefined || scene.deviceDone === 'reset').toBe(true);
      });
    }),
    { numRuns: 2_000 },
  );
});

test('whatever happens, a node that answers has got all that the device sent', () => {
  fc.assert(
    fc.property(fc.boolean(), chances, (begun, choices) => {
      play(begun, choices, (scene) => {
        expect(scene.dials).toBeLessThanOrEqual(retryPolicy.maxAttempts);
        if (scene.spliced !== undefined) expect(scene.given).toEqual(scene.sent);
      });
    }),
    { numRuns: 2_000 },
  );
});

const plays = fc.array(fc.tuple(fc.nat(), fc.boolean()), { maxLength: 60 });

test.each([
  'mqtt',
  'tcp',
  'tls',
] as const)('whatever happens, %s that another process goes on with does what it would have done', (kind) => {
  const options = kind === 'mqtt' ? { lives: true as const } : { opaque: kind };
  let handed = 0;
  fc.assert(
    fc.property(fc.boolean(), fc.boolean(), plays, (begun, served, choices) => {
      const scenes = [new Scene(options), new Scene(options)] as const;
      const [, travels] = scenes;
      for (const scene of scenes) {
        if (begun) scene.says(kind === 'tls' ? hello : packet.CONNECT);
        if (begun && served) scene.opens().node(packet.ACCEPTED);
      }
      for (const [choice, hands] of choices) {
        if (hands) travels.handOver();
        for (const scene of scenes) {
          const possible = moves(scene);
          possible[choice % possible.length]?.();
        }
        expect(travels.did()).toEqual(scenes[0].did());
      }
      handed += travels.handed;
    }),
    { numRuns: 1_000 },
  );
  expect(handed).toBeGreaterThan(200);
});
