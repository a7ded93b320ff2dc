import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { type Play, perform, type Report } from './performance.ts';
import { failoverPage, hangPage, type Scene } from './report.ts';

/**
 * Prints what devices see when a broker dies, hangs, or all are restarted in turn. Without options: SIGKILL, both kinds of
 * brokers, both engines and HAProxy; then writes docs/failover.md. `--hangs`: SIGSTOP for 20 and 90 s in a cluster like
 * EMQX, behind HAProxy and Breakwater; then writes docs/hangs.md.
 */
const { values } = parseArgs({
  options: {
    fault: { type: 'string', default: 'kill' },
    brokers: { type: 'string' },
    front: { type: 'string' },
    engine: { type: 'string' },
    devices: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '400' },
    runs: { type: 'string', default: '1' },
    hang: { type: 'string', default: '30' },
    calm: { type: 'string', default: '4' },
    'time-scale': { type: 'string', default: '1' },
    hangs: { type: 'boolean', default: false },
    clean: { type: 'boolean', default: false },
    log: { type: 'string' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

const shared: Omit<Play, 'brokers' | 'engine'> = {
  main: new URL('../../breakwater/main.js', import.meta.url).pathname,
  fault: oneOf('fault', values.fault, ['none', 'kill', 'hang', 'rolling', 'rebalance']),
  front: oneOf('front', values.front ?? 'breakwater', ['breakwater', 'haproxy', 'direct']),
  devices: Number(values.devices),
  rate: Number(values.rate),
  clean: values.clean,
  timeScale: Number(values['time-scale']),
  hangMs: Number(values.hang) * 1000,
  calmMs: Number(values.calm) * 1000,
  logFile: values.log,
};
const besideHaproxy = values.front === undefined && values.engine === undefined && shared.fault === 'kill';
const brokers = ['aedes', 'mosquitto', 'emqx'] as const;
const plays = (
  values.brokers === undefined ? brokers.slice(0, 2) : [oneOf('brokers', values.brokers, brokers)]
).flatMap((each) => [
  ...engines().map((engine): Play => ({ ...shared, brokers: each, engine })),
  ...(besideHaproxy ? [{ ...shared, brokers: each, front: 'haproxy', engine: 'none' } as const] : []),
]);

function engines(): readonly string[] {
  if (values.engine !== undefined) return [values.engine];
  return shared.front === 'breakwater' ? ['epoll', 'node'] : ['none'];
}

function oneOf<const T extends string>(option: string, given: string, words: readonly T[]): T {
  const word = words.find((each) => each === given);
  if (word === undefined) throw new Error(`--${option} ${given}: write ${words.join(', ')}`);
  return word;
}

function rowOf({
  moves,
  lost,
  lostLater,
  duplicates,
  wills,
  violations,
  awayMs,
  others,
  examples: _,
  ...rest
}: Report): object {
  return {
    ...rest,
    ...{
      lostQos1: lost.qos1,
      lostQos2: lost.qos2,
      lostLater: lostLater.qos1 + lostLater.qos2,
      againQos1: duplicates.qos1,
      againQos2: duplicates.qos2,
    },
    ...{ wills: wills.length, violations: violations.length, awayP50Ms: awayMs.p50, awayMaxMs: awayMs.max },
    ...(others && {
      othersBefore: JSON.stringify(others.before),
      othersDuring: JSON.stringify(others.during),
    }),
    ...(moves && { ...moves, clientIds: moves.clientIds.size, causes: JSON.stringify(moves.causes) }),
  };
}

const hangs = [20_000, 90_000].flatMap((hangMs) =>
  (['haproxy', 'breakwater'] as const).map(
    (front): Play => ({
      ...{ ...shared, brokers: 'emqx', fault: 'hang', front, hangMs, devices: 300, rate: 300 },
      engine: front === 'haproxy' ? 'none' : 'epoll',
    }),
  ),
);

const [load = 0] = loadavg();
const scenes: Scene[] = [];
for (const play of values.hangs ? hangs : plays) {
  for (let run = 0; run < Number(values.runs); run++) {
    const report = await perform(play);
    scenes.push({ play, report });
    if (values.json) {
      console.log(JSON.stringify(report));
      continue;
    }
    console.log(`${play.fault} ${play.brokers} behind ${play.front} (${play.engine}), run ${run + 1}`);
    console.table(rowOf(report));
    for (const line of [...report.examples, ...report.violations]) console.log(line);
  }
}
// A run of a part must not take the place of the whole.
const isWhole = process.argv.length === 2;
const page = values.hangs ? 'docs/hangs.md' : isWhole ? 'docs/failover.md' : undefined;
const out = values.out ?? page;
if (out !== undefined) writeFileSync(out, values.hangs ? hangPage(scenes) : failoverPage(scenes, load));
