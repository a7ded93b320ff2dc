import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import { type CheckedNode, Checker, type HealthOptions } from '../../../src/health/checker.ts';
import type { Finding } from '../../../src/health/life.ts';

const health: HealthOptions = {
  ...{
    probe: 'tcp',
    intervalMs: 5000,
    timeoutMs: 5000,
    unhealthyThreshold: 3,
    healthyThreshold: 2,
    path: '/',
  },
};
const node = (id: string, more: Partial<CheckedNode> = {}): CheckedNode => ({
  ...{ id, pool: 'default', url: `mqtt://${id}:1883` },
  ...more,
});
const refused = () =>
  Promise.reject(new BreakwaterError('PROBE_FAILED', 'long', { cause: new Error('ECONNREFUSED') }));
const serves = () => Promise.resolve();

let probe: (node: CheckedNode, health: HealthOptions, signal: AbortSignal) => Promise<void>;
let random: () => number;
let flips: string[];
let probed: { id: string; at: number; seconds: number; ok: boolean }[];
let starts: number[];
let checks: HealthOptions;
let checker: Checker;
/** What a look for a sign of life finds. */
let finding: Finding;
let looks: number[];
let links: number;
let busy: string[];

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  [probe, random, flips, probed, starts] = [serves, () => 0.5, [], [], []];
  checks = health;
  [finding, looks, links, busy] = [{ kind: 'lives' }, [], 1, []];
  checker = newChecker();
});

const newChecker = (earlyMs = 0) =>
  new Checker({
    probe: (...call) => {
      starts.push(Date.now());
      return probe(...call);
    },
    look: () => {
      looks.push(Date.now());
      return Promise.resolve(finding);
    },
    hasLinks: () => links > 0,
    onBusy: (id, isBusy) => busy.push(`${id} ${isBusy ? 'is busy' : 'takes devices'}`),
    healthOf: () => checks,
    onFlip: (id, to, cause) => flips.push(`${id} ${to}: ${cause}`),
    onProbe: (id, seconds, failure) =>
      probed.push({ id, at: Date.now(), seconds, ok: failure === undefined }),
    clock: { now: () => Date.now() },
    random: () => random(),
    timers: {
      setTimeout: (run, ms) => setTimeout(run, Math.max(0, ms - earlyMs)),
      clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
    },
  });

afterEach(() => {
  checker.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** A watched node whose first probe, at 2.5 s, found it healthy; that flip is forgotten. */
async function healthyNode(): Promise<void> {
  checker.add(node('a'));
  await pass(2500);
  expect(flips.splice(0)).toEqual(['a healthy: tcp probe succeeded']);
  starts.length = 0;
}

describe('other checks of the pool', () => {
  test('hold from the next probe on, and what was found so far stays', async () => {
    await healthyNode();
    probe = refused;
    await pass(10_000);
    expect(flips).toEqual([]); // two of three
    checks = { ...health, intervalMs: 1000 };
    checker.retune('default');
    starts.length = 0;
    await pass(500);
    expect(starts).toHaveLength(1);
    expect(flips.splice(0)).toEqual(['a unhealthy: tcp probe failed 3 times: ECONNREFUSED']);
    await pass(3000);
    expect(starts).toHaveLength(4);
  });

  test('that are the same leave each probe at its moment, and those of another pool are left alone', async () => {
    await healthyNode();
    for (let ms = 0; ms < 5000; ms += 500) {
      checker.retune('default');
      await pass(500);
    }
    expect(starts).toHaveLength(1);
    checks = { ...health, intervalMs: 100 };
    checker.retune('another');
    await pass(5000);
    expect(starts).toHaveLength(2);
  });
});

describe('schedule', () => {
  test('probes are spread over the interval, and each node keeps its moment', async () => {
    for (let i = 0; i < 10; i++) {
      random = () => i / 10;
      checker.add(node(`n${i}`));
    }
    await pass(14_999);
    for (let i = 0; i < 10; i++) {
      const moments = probed.filter(({ id }) => id === `n${i}`).map(({ at }) => at);
      expect(moments).toEqual([0, 5000, 10_000].map((at) => at + i * 500));
    }
  });

  test('a probe slower than the interval is never overlapped, and those it covers are left out', async () => {
    let running = 0;
    probe = async () => {
      expect(++running).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 12_000));
      running--;
    };
    checker.add(node('a'));
    await pass(40_000);
    expect(starts).toEqual([2500, 17_500, 32_500]);
    expect(probed.map(({ seconds, ok }) => [seconds, ok])).toEqual([
      [12, true],
      [12, true],
    ]);
    checker.stop();
    await pass(12_000);
  });

  test('a timer that fires a little early makes no second probe', async () => {
    checker = newChecker(1);
    checker.add(node('a'));
    await pass(12_600);
    expect(starts).toEqual([2499, 7499, 12_499]);
  });
});

describe('probes', () => {
  test('the first decides at once', async () => {
    probe = refused;
    checker.add(node('a'));
    await pass(2500);
    expect(flips).toEqual(['a unhealthy: tcp probe failed: ECONNREFUSED']);
  });

  test('three failures isolate, two successes bring back, and each flip is told once', async () => {
    await healthyNode();
    probe = refused;
    await pass(10_000);
    expect(flips).toEqual([]);
    await pass(5000);
    expect(flips).toEqual(['a unhealthy: tcp probe failed 3 times: ECONNREFUSED']);
    await pass(20_000);
    probe = serves;
    await pass(5000);
    expect(flips).toHaveLength(1);
    await pass(20_000);
    expect(flips.slice(1)).toEqual(['a healthy: 2 probes succeeded']);
  });

  test('one that throws instead of rejecting has failed', async () => {
    probe = () => {
      throw new Error('no such path');
    };
    checker.add(node('a'));
    await pass(2500);
    expect(flips).toEqual(['a unhealthy: tcp probe failed: no such path']);
  });
});

describe('heartbeats of the node itself', () => {
  test('missed: unhealthy at once, whatever a probe would find', async () => {
    await healthyNode();
    checker.absent('a', 'heartbeats missed');
    checker.absent('a', 'heartbeats missed');
    await pass(60_000);
    expect(flips).toEqual(['a unhealthy: heartbeats missed']);
    expect(starts).toEqual([]);
  });

  test('heard again: a probe is made at once, and decides', async () => {
    await healthyNode();
    checker.absent('a', 'heartbeats missed');
    checker.present('a');
    await pass(0);
    expect(flips).toEqual(['a unhealthy: heartbeats missed', 'a healthy: tcp probe succeeded']);
    probe = refused;
    checker.absent('a', 'heartbeats missed');
    checker.present('a');
    await pass(0);
    expect(flips.at(-1)).toBe('a unhealthy: tcp probe failed: ECONNREFUSED');
  });

  test('heard all along: nothing changes', async () => {
    await healthyNode();
    checker.present('a');
    await pass(2500);
    expect(flips).toEqual([]);
  });
});

const gone: Finding = { kind: 'gone', evidence: 'refused', detail: 'ECONNREFUSED' };
const failDials = (count: number, reason = 'refused') => {
  for (let i = 0; i < count; i++) checker.dialFailed('a', reason);
};

describe('failed dials', () => {
  test.each([
    'refused',
    'timeout',
    'closed-before-connack',
    'connack-timeout',
    'busy',
  ])('are no proof: of a node that gives a sign of life nothing is held against it (%s)', async (reason) => {
    await healthyNode();
    for (let i = 0; i < 20; i++) {
      failDials(3, reason);
      await pass(200);
    }
    expect(flips).toEqual([]);
    expect(looks.length).toBeGreaterThan(3);
    expect(looks.every((at, i) => i === 0 || at - (looks[i - 1] ?? 0) >= 500)).toBe(true);
  });

  test('three in a row have a dead node looked at, and isolated in well under a second', async () => {
    await healthyNode();
    finding = gone;
    failDials(2);
    await pass(0);
    expect(looks).toEqual([]);
    failDials(1);
    await pass(200);
    expect(looks).toEqual([2500, 2600, 2700]);
    expect(flips).toEqual(['a unhealthy: no sign of life 3 times: ECONNREFUSED']);
    expect(starts).toEqual([]);
  });

  test('a success starts the count anew, a probe does not', async () => {
    await healthyNode();
    finding = gone;
    failDials(2);
    checker.dialSucceeded('a');
    failDials(2);
    await pass(5000);
    expect(flips).toEqual([]);
    failDials(1);
    await pass(200);
    expect(flips).toHaveLength(1);
  });

  test('that succeed do not bring a node back: probes do', async () => {
    await healthyNode();
    finding = gone;
    failDials(3);
    await pass(200);
    for (let i = 0; i < 3; i++) checker.dialSucceeded('a');
    expect(flips).toHaveLength(1);
    await pass(10_000);
    expect(flips.slice(1)).toEqual(['a healthy: 2 probes succeeded']);
  });

  test('isolate a node that no probe has reached yet', async () => {
    finding = gone;
    checker.add(node('a'));
    failDials(3);
    await pass(200);
    expect(flips).toEqual(['a unhealthy: no sign of life 3 times: ECONNREFUSED']);
  });

  test('what they took away from an HTTP node, tcp probes at the node itself bring back', async () => {
    const names: string[] = [];
    checks = { ...health, probe: 'http' };
    probe = (_node, { probe: name }) => {
      names.push(name);
      return serves();
    };
    checker.update(node('a', { url: 'http://a:18083', probeUrl: 'http://a:8080/status' }));
    await pass(5_000);
    finding = gone;
    failDials(3);
    await pass(15_000);
    expect(names.slice(0, 3)).toEqual(['http', 'tcp', 'tcp']);
    expect(names.at(-1)).toBe('http');
    expect(flips.at(-1)).toBe('a healthy: 2 probes succeeded');
  });

  test('what they took away, only mqtt probes at the node itself bring back', async () => {
    await healthyNode();
    const asked: string[] = [];
    probe = (target, { probe: name }) => {
      asked.push(`${name} ${target.probeUrl ?? target.url}`);
      return name === 'mqtt' ? refused() : serves();
    };
    checker.update(node('a', { probeUrl: 'tcp://status:1' }));
    await pass(2500);
    finding = { kind: 'gone', evidence: 'no-answer', detail: 'no answer within 1000 ms' };
    failDials(3, 'connack-timeout');
    await pass(15_000);
    expect(asked).toEqual(['tcp tcp://status:1', ...Array(3).fill('mqtt mqtt://a:1883')]);
    expect(flips.at(-1)).toBe('a unhealthy: no sign of life 3 times: no answer within 1000 ms');
    probe = serves;
    await pass(10_000);
    expect(flips.at(-1)).toBe('a healthy: 2 probes succeeded');
  });

  test('of this machine alone say nothing', async () => {
    await healthyNode();
    finding = { kind: 'unknown', detail: 'EMFILE' };
    failDials(3);
    await pass(5_000);
    expect([flips, looks]).toEqual([[], [2500]]);
  });

  test('to a node that is not watched mean nothing', async () => {
    for (let i = 0; i < 3; i++) checker.dialFailed('gone', 'refused');
    checker.dialSucceeded('gone');
    checker.suspect('gone');
    await pass(0);
    expect([flips, looks]).toEqual([[], []]);
  });
});

test('links of several sessions that fall silent are proof', async () => {
  await healthyNode();
  failDials(2, 'silent');
  expect(flips).toEqual([]);
  failDials(1, 'silent');
  expect(flips).toEqual(['a unhealthy: 3 links are silent']);
});

describe('a suspicion', () => {
  test('leaves the schedule of probes as it was', async () => {
    await healthyNode();
    checker.suspect('a');
    await pass(5000);
    expect([starts, looks, flips]).toEqual([[7500], [2500], []]);
  });

  test('is looked into at once when more speaks for it', async () => {
    await healthyNode();
    finding = gone;
    checker.suspect('a');
    await pass(50);
    checker.suspect('a');
    await pass(100);
    expect(looks).toEqual([2500, 2550, 2650]);
    expect(flips).toHaveLength(1);
  });

  test('ends a probe that runs, when it is proven: that began before', async () => {
    await healthyNode();
    probe = (_, __, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    await pass(5500);
    finding = gone;
    probed.length = 0;
    checker.suspect('a');
    await pass(200);
    expect(flips).toEqual(['a unhealthy: no sign of life 3 times: ECONNREFUSED']);
    expect(probed).toEqual([]);
  });
});

describe('a node that ends our connection', () => {
  const closes: Finding = { kind: 'closes', detail: 'ECONNRESET' };

  test('and has links that live is busy: others are asked first until it takes somebody', async () => {
    await healthyNode();
    finding = closes;
    failDials(3, 'closed-before-connack');
    await pass(2_500);
    expect([busy, looks, flips]).toEqual([['a is busy'], [2500, 3500, 4500], []]);
    finding = { kind: 'lives' };
    await pass(500);
    expect(busy).toEqual(['a is busy', 'a takes devices']);
    expect(flips).toEqual([]);
  });

  test('and has none is gone: somebody else has its address', async () => {
    await healthyNode();
    [finding, links] = [closes, 0];
    failDials(3, 'closed-before-connack');
    await pass(200);
    expect(flips).toEqual(['a unhealthy: no sign of life 3 times: ECONNRESET']);
  });

  test('is gone when its links end too', async () => {
    await healthyNode();
    finding = closes;
    failDials(3);
    await pass(100);
    links = 0;
    checker.suspect('a');
    await pass(200);
    expect(flips).toHaveLength(1);
    expect(busy).toEqual(['a is busy', 'a takes devices']);
  });

  test('is busy no more once it is removed', async () => {
    await healthyNode();
    finding = closes;
    failDials(3);
    await pass(0);
    checker.remove('a');
    expect(busy).toEqual(['a is busy', 'a takes devices']);
  });
});

describe('nodes come and go', () => {
  test('a verdict that arrives after the removal is not told, and its probe was aborted', async () => {
    let end = () => {};
    let signal: AbortSignal | undefined;
    probe = (_, __, given) => {
      signal = given;
      return new Promise((resolve) => {
        end = resolve;
      });
    };
    checker.add(node('a'));
    await pass(2500);
    checker.remove('a');
    expect(signal?.aborted).toBe(true);
    end();
    await pass(20_000);
    expect([flips, probed]).toEqual([[], []]);
  });

  test('a verdict on the former address is not told of the new one, which starts unknown', async () => {
    await healthyNode();
    let end = () => {};
    probe = () => new Promise((resolve) => (end = resolve));
    await pass(5000);
    checker.update(node('a', { url: 'mqtt://elsewhere:1883' }));
    probe = refused;
    end();
    await pass(2499);
    expect(flips).toEqual([]);
    await pass(1);
    expect(flips).toEqual(['a unhealthy: tcp probe failed: ECONNREFUSED']);
  });

  test('an update that changes nothing for the probe keeps what is known', async () => {
    await healthyNode();
    checker.update(node('a'));
    await pass(5000);
    expect([starts, flips]).toEqual([[7500], []]);
  });

  test('a node removed by whoever is told of its flip is probed no more', async () => {
    probe = refused;
    checker.add(node('a'));
    vi.spyOn(flips, 'push').mockImplementation(() => {
      checker.remove('a');
      return 0;
    });
    await pass(20_000);
    expect(starts).toHaveLength(1);
  });
});
