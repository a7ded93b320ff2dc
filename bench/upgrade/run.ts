import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { upgradePage } from './page.ts';
import { performReloads } from './reloads.ts';
import { performUpgrades } from './upgrades.ts';

/**
 * Prints what devices see of upgrades in a row, and of as many reloads of HAProxy; then writes docs/upgrade-figures.md.
 * `--kills N`: instead, one of the two processes is killed at a random moment of so many upgrades, and with `--stops N` stopped in so many more.
 */
const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'epoll' },
    devices: { type: 'string', default: '5000' },
    rate: { type: 'string', default: '1000' },
    upgrades: { type: 'string', default: '10' },
    watched: { type: 'string', default: '72' },
    every: { type: 'string', default: '20' },
    settle: { type: 'string', default: '3' },
    'hard-stop': { type: 'string', default: '20' },
    'without-haproxy': { type: 'boolean', default: false },
    kills: { type: 'string' },
    stops: { type: 'string', default: '0' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const main = new URL('../../breakwater/main.js', import.meta.url).pathname;
const [devices, rate] = [Number(values.devices), Number(values.rate)];

async function compare(): Promise<void> {
  const [load = 0] = loadavg();
  const ours = await performUpgrades({
    ...{ main, engine: values.engine, devices, rate, upgrades: Number(values.upgrades) },
    ...{ watched: Number(values.watched), everyMs: Number(values.every) },
    settleMs: Number(values.settle) * 1000,
  });
  const { generations, before, figures, disconnected, violations, ...rest } = ours;
  if (values.json) console.log(JSON.stringify({ ...ours, disconnected: [...disconnected] }));
  else {
    console.table([before, ...generations].map(({ pauseMs, ...row }) => ({ ...row, ...pauseMs })));
    console.log({ ...rest, figures, disconnected });
    for (const line of violations) console.log(line);
  }
  if (figures.disconnects > 0 || violations.length > 0) process.exitCode = 1;
  const theirs = values['without-haproxy']
    ? undefined
    : await performReloads({ main, devices, rate, hardStopS: Number(values['hard-stop']) });
  if (theirs !== undefined) console.log(theirs);
  // A run of a part must not take the place of the whole.
  const out = values.out ?? (process.argv.length === 2 ? 'docs/upgrade-figures.md' : undefined);
  if (out !== undefined) writeFileSync(out, upgradePage(ours, theirs, load));
}

async function kill(): Promise<void> {
  const { performKills } = await import('./kills.ts');
  const seed = Number(values.seed);
  console.log(`seed ${seed}`);
  const { rounds, violations } = await performKills({
    ...{
      main,
      engine: values.engine,
      devices,
      rate,
      kills: Number(values.kills),
      stops: Number(values.stops),
      seed,
    },
  });
  if (values.json) console.log(JSON.stringify({ rounds, violations }));
  else console.table(rounds);
  for (const line of violations) console.log(line);
  if (violations.length > 0) process.exitCode = 1;
}

await (values.kills === undefined ? compare() : kill());
