import { describe, expect, test } from 'vitest';
import type { Finding } from '../../../src/health/life.ts';
import { NodeLosses } from '../../../src/health/node-losses.ts';
import { fakeTime } from '../../support/fake-time.ts';

const lives: Finding = { kind: 'lives' };
const refused: Finding = { kind: 'gone', evidence: 'refused', detail: 'ECONNREFUSED' };

function scene(first: Finding | undefined = lives, hasPeers = false) {
  const time = fakeTime();
  const said: string[] = [];
  let told = Promise.resolve();
  const probes: ((finding: Finding | undefined) => void)[] = [];
  const losses = new NodeLosses({
    ...time,
    hasPeers: () => hasPeers,
    settled: () => told,
    probe: (node) => {
      said.push(`probe ${node}`);
      return new Promise((resolve) => probes.push(resolve));
    },
    verdict: (node, evidence, asOfMs) => said.push(`${node} ${evidence ?? 'lives'} as of ${asOfMs}`),
    onGone: (node, { evidence, lost, had }) => said.push(`incident ${node}: ${evidence}, ${lost} of ${had}`),
  });
  let devices = 0;
  return {
    time,
    losses,
    /** So many links, each of a device of its own, of a node that had `had`. */
    lose(count: number, had: number, asks = true): void {
      const lost = Array.from({ length: count }, () => devices++);
      losses.lost({ node: 'a', devices: lost, had, askedAtMs: asks ? time.clock.now() : undefined });
    },
    async answers(finding: Finding | undefined = first): Promise<void> {
      for (const answer of probes.splice(0)) answer(finding);
      await time.pass(0);
    },
    /** The threads tell nothing until the returned function is called. */
    busy(): () => void {
      let tell = (): void => {};
      told = new Promise((resolve) => {
        tell = resolve;
      });
      return tell;
    },
    probing: () => probes.length,
    said: () => said.splice(0),
  };
}

test('one link of a node that lives: it was the broker', async () => {
  const { time, lose, answers, said } = scene();
  await time.pass(10);
  lose(1, 100);
  expect(said()).toEqual(['probe a']);
  await answers();
  await time.pass(49);
  expect(said()).toEqual([]);
  await time.pass(1);
  expect(said()).toEqual(['a lives as of 10']);
  expect(time.pending()).toBe(0);
});

test('one link of a node that refuses: at once', async () => {
  const { time, lose, answers, said } = scene(refused);
  await time.pass(10);
  lose(1, 1);
  await time.pass(3);
  await answers();
  expect(said()).toEqual(['probe a', 'a refused as of 13', 'incident a: refused, 1 of 1']);
});

test('a probe that could not be made is nothing against the node', async () => {
  const { time, lose, answers, said } = scene({ kind: 'unknown', detail: 'EMFILE' });
  lose(1, 100);
  await answers();
  await time.pass(50);
  expect(said()).toEqual(['probe a', 'a lives as of 0']);
});

describe('a node that ends our probe', () => {
  const closes: Finding = { kind: 'closes', detail: 'ECONNRESET' };

  test('lives as long as others have their links: it has as many as it may', async () => {
    const { time, lose, answers, said } = scene(closes);
    lose(1, 5);
    await answers();
    await time.pass(50);
    expect(said()).toEqual(['probe a', 'a lives as of 0']);
  });

  test('is gone when all of its links ended: somebody else has its address', async () => {
    const { time, lose, answers, said } = scene(closes);
    lose(2, 2);
    await answers();
    await time.pass(50);
    expect(said()).toEqual(['probe a', 'a no-answer as of 50', 'incident a: no-answer, 2 of 2']);
  });
});

test('a node that is known no more', async () => {
  const { losses, said } = scene();
  const unknown = new NodeLosses({
    ...fakeTime(),
    hasPeers: () => false,
    settled: () => Promise.resolve(),
    probe: () => Promise.resolve(undefined),
    verdict: (node, evidence) =>
      void losses.lost({ node: `${node} ${evidence}`, devices: [], had: 0, askedAtMs: 0 }),
    onGone: () => {},
  });
  unknown.lost({ node: 'a', devices: [1], had: 10, askedAtMs: 0 });
  await Promise.resolve();
  await Promise.resolve();
  expect(said()).toEqual(['probe a removed']);
});

describe('links that end together', () => {
  test('are proof when no more come in, though somebody answers at that port', async () => {
    const { time, lose, answers, said } = scene();
    lose(1, 3);
    await answers();
    await time.pass(10);
    lose(2, 3);
    expect(said()).toEqual(['probe a']);
    await time.pass(50 + 200);
    expect(said()).toEqual(['a together as of 260', 'incident a: together, 3 of 3']);
    await time.pass(1_000);
    expect(said()).toEqual([]);
    expect(time.pending()).toBe(0);
  });

  test('are not waited for where the port refuses', async () => {
    const { lose, answers, said } = scene(refused);
    lose(5, 5);
    await answers();
    expect(said()).toEqual(['probe a', 'a refused as of 0', 'incident a: refused, 5 of 5']);
  });

  test('are waited for while they come in', async () => {
    const { time, lose, answers, said } = scene();
    lose(10, 100);
    await answers();
    for (let i = 0; i < 4; i++) {
      await time.pass(40);
      lose(10, 100);
    }
    expect(said()).toEqual(['probe a']);
    await time.pass(50 + 200);
    expect(said()).toEqual(['a together as of 410', 'incident a: together, 50 of 100']);
  });

  test('prove nothing when newer connections of those devices explain them', async () => {
    const { time, losses, lose, answers, said } = scene();
    lose(10, 10);
    await answers();
    for (let device = 0; device < 9; device++) {
      await time.pass(20);
      losses.takenOver(device);
    }
    expect(said()).toEqual(['probe a']);
    await time.pass(50);
    expect(said()).toEqual(['a lives as of 0']);
    losses.takenOver(9);
    losses.takenOver(77);
  });

  test('prove it where too few are explained', async () => {
    const { time, losses, lose, answers, said } = scene();
    lose(10, 10);
    await answers();
    for (let device = 0; device < 5; device++) losses.takenOver(device);
    await time.pass(50 + 200);
    expect(said()).toEqual(['probe a', 'a together as of 250', 'incident a: together, 5 of 10']);
  });

  test('prove nothing where it is heard late that they were taken over', async () => {
    const { time, losses, lose, answers, said } = scene();
    lose(4, 8);
    await answers();
    await time.pass(50 + 199);
    losses.accepted(0);
    await time.pass(1);
    expect(said()).toEqual(['probe a', 'a lives as of 0']);
  });

  test('prove nothing before every thread has told what it has heard', async () => {
    const { time, losses, lose, answers, said, busy } = scene();
    const tell = busy();
    lose(3, 3);
    await answers();
    await time.pass(5_000);
    expect(said()).toEqual(['probe a']);
    losses.takenOver(1);
    tell();
    await new Promise((resolve) => setImmediate(resolve));
    expect(said()).toEqual(['a lives as of 0']);
  });

  test('are waited for longer where the devices may be at other proxies by now', async () => {
    const { time, losses, lose, answers, said } = scene(lives, true);
    lose(4, 4);
    await answers();
    await time.pass(50 + 999);
    losses.accepted(0);
    losses.accepted(1);
    await time.pass(1);
    expect(said()).toEqual(['probe a', 'a lives as of 0']);
    await time.pass(10_000);
    lose(4, 4);
    await answers();
    await time.pass(50 + 1_000);
    expect(said().at(-1)).toBe('incident a: together, 4 of 4');
  });

  test('prove nothing where others have the same client ids, however often, for seconds', async () => {
    const { time, losses, answers, said } = scene();
    const fight = (device: number) =>
      losses.lost({ node: 'a', devices: [device], had: 8, askedAtMs: time.clock.now() });
    for (let device = 0; device < 8; device++) losses.takenOver(device); // known before any link has ended
    for (let round = 0; round < 100; round++) {
      for (let device = 0; device < 8; device++) fight(device);
      await answers();
      await time.pass(20);
    }
    expect(said().filter((line) => line.includes('together'))).toEqual([]);
    for (let device = 0; device < 8; device++) losses.takenOver(device);
    await time.pass(10_000);
    await answers();
    await time.pass(1_000);
    said();
    for (let device = 0; device < 8; device++) fight(device); // nobody has them any more
    await answers();
    await time.pass(250);
    expect(said().at(-1)).toBe('incident a: together, 8 of 8');
  });

  test('prove nothing where their client ids were accepted a moment later, and only then', async () => {
    const { time, losses, lose, answers, said } = scene();
    for (let device = 0; device < 3; device++) losses.accepted(device); // the first connections of all
    lose(3, 3);
    await answers();
    await time.pass(250);
    expect(said()).toEqual(['probe a', 'a together as of 250', 'incident a: together, 3 of 3']);
    await time.pass(2_000);
    lose(3, 3);
    for (let device = 3; device < 6; device++) losses.accepted(device);
    await answers();
    await time.pass(50);
    expect(said()).toEqual(['probe a', 'a lives as of 2250']);
  });

  test('but not for ever: single devices that are thrown out all the time wait for a moment only', async () => {
    const { time, lose, answers, said } = scene();
    for (let i = 0; i < 20; i++) {
      lose(1, 10_000);
      await answers();
      await time.pass(20);
    }
    expect(said()).toEqual(['probe a', 'a lives as of 0', 'probe a']);
  });

  test('two devices at a node with 1,000 prove nothing', async () => {
    const { time, lose, answers, said } = scene();
    lose(2, 1_000);
    await answers();
    await time.pass(50);
    expect(said()).toEqual(['probe a', 'a lives as of 0']);
  });

  test('of relayed devices count too, and prove nothing where nobody asks and the node answers', async () => {
    const { time, lose, answers, said, probing } = scene();
    lose(4, 10, false);
    expect([said(), probing()]).toEqual([[], 0]);
    lose(1, 10, false);
    expect(said()).toEqual(['probe a']);
    await answers();
    await time.pass(50 + 200);
    expect([said(), time.pending()]).toEqual([[], 0]);
    lose(4, 10, false);
    lose(1, 10);
    await answers();
    await time.pass(250);
    expect(said().at(-1)).toBe('incident a: together, 5 of 10');
  });

  test('of relayed devices are an incident where the node does not answer', async () => {
    const { lose, answers, said } = scene(refused);
    lose(5, 10, false);
    await answers();
    expect(said()).toEqual(['probe a', 'a refused as of 0', 'incident a: refused, 5 of 10']);
  });

  test('of relayed devices that were taken over are nobody’s fault, and answer nobody', async () => {
    const { time, losses, lose, answers, said } = scene();
    lose(5, 10, false);
    await answers();
    losses.takenOver(0);
    await time.pass(50);
    expect(said()).toEqual(['probe a']);
    expect(time.pending()).toBe(0);
  });

  test('10,000 at once are a number each', async () => {
    const { time, lose, answers, said, probing } = scene();
    for (let i = 0; i < 10; i++) lose(1_000, 10_000);
    expect([said(), probing()]).toEqual([['probe a'], 1]);
    await answers();
    await time.pass(250);
    expect(said()).toEqual(['a together as of 250', 'incident a: together, 10000 of 10000']);
  });
});

test('a question that comes while a probe runs is not answered by it where the node lives', async () => {
  const { time, lose, answers, said } = scene();
  lose(1, 100);
  await time.pass(5);
  lose(1, 100);
  await answers();
  await time.pass(50);
  expect(said()).toEqual(['probe a', 'a lives as of 0', 'probe a']);
  await answers();
  await time.pass(50);
  expect(said()).toEqual(['a lives as of 55']);
});

test('what comes in of an incident that is over is answered by its verdict, and is no second incident', async () => {
  const { time, lose, losses, answers, said } = scene(refused);
  await time.pass(10);
  lose(3, 100);
  await answers();
  said();
  losses.lost({ node: 'a', devices: [77, 78, 79], had: 6, askedAtMs: 9 });
  await time.pass(5);
  losses.lost({ node: 'a', devices: [80, 81, 82], had: 3, askedAtMs: undefined });
  expect(said()).toEqual([]);
  lose(1, 100);
  expect(said()).toEqual(['probe a']); // of a link to the node that was started again
});
