#!/usr/bin/env node
// npm run fuzz -- --minutes 10 --seed 7: feeds mutated bytes to all that reads bytes of strangers, for so long in all.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
});
console.log(`seed ${values.seed}`);
const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'pure', 'test/fuzz/fuzz.test.ts'], {
  env: { ...process.env, FUZZ_MINUTES: values.minutes, FUZZ_SEED: values.seed },
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
