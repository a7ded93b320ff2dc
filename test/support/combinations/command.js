#!/usr/bin/env node
// npm run combinations -- --runs 60 --seed 1: random configurations and reloads, as many as you like. What fails is printed
// with its seed; the same seed makes the same configurations again.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    reloads: { type: 'string', default: '4' },
    parallel: { type: 'string', default: '3' },
    faults: { type: 'string', default: 'half' }, // half | all | off
    commands: { type: 'string', default: 'on' }, // on | off
  },
});
const env = { ...process.env };
for (const [name, value] of Object.entries(values)) env[`COMBINATIONS_${name.toUpperCase()}`] = value;
const { status } = spawnSync('npx', ['vitest', 'run', 'test/e2e/combinations.test.ts'], {
  env,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
