import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type CheckedNode, Checker, type HealthOptions } from '../../../src/control/checker.ts';
import { BreakwaterError } from '../../../src/errors.ts';

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

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  [probe, random, flips, probed, starts] = [serves, () => 0.5, [], [], []];
  checks = health;
  checker = newChecker();
});

const newChecker = (earlyMs = 0) =>
  new Checker({
    probe: (...call) => {
      starts.push(Date.now());
      return probe(...call);
    },
    healthOf: () => checks,
    onFlip: (id, to, cause) => flips.push(`${id} ${to}: ${cause}`),
    onProbe: (id, seconds, ok) => probed.push({ id, at: Date.now(), seconds, ok }),
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

describe('dials', () => {
  test('what failed dials took away from an HTTP node, tcp probes at the node itself bring back', async () => {
    const names: string[] = [];
    checks = { ...health, probe: 'http' };
    probe = (_node, { probe: name }) => {
      names.push(name);
      return serves();
    };
    checker.update(node('a', { url: 'http://a:18083', probeUrl: 'http://a:8080/status' }));
    await vi.advanceTimersByTimeAsync(5_000);
    for (let i = 0; i < 3; i++) checker.dialFailed('a', 'refused');
    await vi.advanceTimersByTimeAsync(15_000);
    expect(names.slice(0, 3)).toEqual(['http', 'tcp', 'tcp']);
    expect(names.at(-1)).toBe('http');
    expect(flips.at(-1)).toBe('a healthy: 2 probes succeeded');
  });

  test('what failed dials took away, only mqtt probes at the node itself bring back', async () => {
    await healthyNode();
    const asked: string[] = [];
    probe = (target, { probe: name }) => {
      asked.push(`${name} ${target.probeUrl ?? target.url}`);
      return name === 'mqtt' ? refused() : serves();
    };
    checker.update(node('a', { probeUrl: 'tcp://status:1' }));
    await pass(2500);
    for (const _ of 'abc') checker.dialFailed('a', 'connack-timeout');
    await pass(15_000);
    expect(asked).toEqual(['tcp tcp://status:1', ...Array(3).fill('mqtt mqtt://a:1883')]);
    expect(flips.at(-1)).toBe('a unhealthy: 3 dials failed: connack-timeout');
    probe = serves;
    await pass(10_000);
    expect(flips.at(-1)).toBe('a healthy: 2 probes succeeded');
  });

  test('three failures in a row isolate at once; probes bring the node back', async () => {
    await healthyNode();
    for (const _ of 'ab') checker.dialFailed('a', 'refused');
    expect(flips).toEqual([]);
    for (const _ of 'ab') checker.dialFailed('a', 'refused');
    expect(flips).toEqual(['a unhealthy: 3 dials failed: refused']);
    await pass(5000);
    expect(flips).toHaveLength(1);
    await pass(5000);
    expect(flips.slice(1)).toEqual(['a healthy: 2 probes succeeded']);
    for (const _ of 'ab') checker.dialFailed('a', 'refused');
    expect(flips).toHaveLength(2);
  });

  test('a success starts the count anew, a probe does not', async () => {
    await healthyNode();
    for (const _ of 'ab') checker.dialFailed('a', 'timeout');
    checker.dialSucceeded('a');
    for (const _ of 'ab') checker.dialFailed('a', 'timeout');
    await pass(5000);
    expect(flips).toEqual([]);
    checker.dialFailed('a', 'connack-timeout');
    expect(flips).toEqual(['a unhealthy: 3 dials failed: connack-timeout']);
  });

  test('that succeed do not bring a node back: probes do', async () => {
    await healthyNode();
    for (const _ of 'abc') checker.dialFailed('a', 'refused');
    for (const _ of 'abc') checker.dialSucceeded('a');
    expect(flips).toHaveLength(1);
  });

  test('isolate a node that no probe has reached yet', () => {
    checker.add(node('a'));
    for (const _ of 'abc') checker.dialFailed('a', 'refused');
    expect(flips).toEqual(['a unhealthy: 3 dials failed: refused']);
  });

  test('to a node that is not watched mean nothing', () => {
    for (const _ of 'abc') checker.dialFailed('gone', 'refused');
    checker.dialSucceeded('gone');
    checker.suspect('gone');
    expect(flips).toEqual([]);
  });
});

describe('a suspicion', () => {
  test('has a dead node probed at once, and isolated in well under a second', async () => {
    await healthyNode();
    probe = refused;
    checker.suspect('a');
    expect(starts).toEqual([2500]);
    await pass(200);
    expect(starts).toEqual([2500, 2600, 2700]);
    expect(flips).toEqual(['a unhealthy: tcp probe failed 3 times: ECONNREFUSED']);
    await pass(4799);
    expect(starts.slice(3)).toEqual([]);
    await pass(1);
    expect(starts.slice(3)).toEqual([7500]);
  });

  test('does not isolate a node that still answers, and leaves its schedule as it was', async () => {
    await healthyNode();
    checker.suspect('a');
    await pass(5000);
    expect(starts).toEqual([2500, 7500]);
    expect(flips).toEqual([]);
  });

  test('ends a probe that began before: its word is not heard, and a new one follows', async () => {
    await healthyNode();
    probe = (_, __, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    await pass(5500);
    probe = refused;
    probed.length = 0;
    checker.suspect('a');
    await pass(200);
    expect(starts).toEqual([7500, 8000, 8100, 8200]);
    expect(probed).toHaveLength(3);
    expect(flips).toEqual(['a unhealthy: tcp probe failed 3 times: ECONNREFUSED']);
  });

  test('together with failed dials flips once', async () => {
    await healthyNode();
    probe = refused;
    checker.suspect('a');
    for (const _ of 'abcd') checker.dialFailed('a', 'refused');
    await pass(1000);
    checker.suspect('a');
    expect(flips).toEqual(['a unhealthy: 3 dials failed: refused']);
    expect(starts).toHaveLength(1);
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
