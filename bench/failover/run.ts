import { parseArgs } from 'node:util';
import { type Play, perform, type Report } from './performance.ts';

/** Prints what devices see when a broker dies, hangs, or all are restarted in turn. */
const { values } = parseArgs({
  options: {
    fault: { type: 'string', default: 'kill' },
    brokers: { type: 'string', default: 'aedes' },
    front: { type: 'string', default: 'breakwater' },
    engine: { type: 'string', default: 'auto' },
    devices: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '400' },
    runs: { type: 'string', default: '1' },
    hang: { type: 'string', default: '30' },
    calm: { type: 'string', default: '4' },
    clean: { type: 'boolean', default: false },
    log: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const play: Play = {
  main: new URL('../../src/main.js', import.meta.url).pathname,
  fault: oneOf('fault', ['none', 'kill', 'hang', 'rolling', 'rebalance']),
  brokers: oneOf('brokers', ['aedes', 'mosquitto']),
  front: oneOf('front', ['breakwater', 'haproxy']),
  engine: values.engine,
  devices: Number(values.devices),
  rate: Number(values.rate),
  clean: values.clean,
  hangMs: Number(values.hang) * 1000,
  calmMs: Number(values.calm) * 1000,
  logFile: values.log,
};

function oneOf<const T extends string>(option: keyof typeof values, words: readonly T[]): T {
  const word = words.find((each) => each === values[option]);
  if (word === undefined) throw new Error(`--${option} ${values[option]}: write ${words.join(', ')}`);
  return word;
}

function rowOf({
  moves,
  lost,
  lostLater,
  duplicates,
  wills,
  violations,
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
    ...{ wills: wills.length, violations: violations.length },
    ...(moves && { ...moves, causes: JSON.stringify(moves.causes) }),
  };
}

for (let run = 0; run < Number(values.runs); run++) {
  const report = await perform(play);
  if (values.json) {
    console.log(JSON.stringify(report));
    continue;
  }
  console.log(`${play.fault} ${play.brokers} behind ${play.front}, run ${run + 1}`);
  console.table(rowOf(report));
  for (const line of [...report.examples, ...report.violations]) console.log(line);
}
