import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { randomFrom } from '../../bench/random.ts';
import { mutate } from './mutate.ts';
import { targets } from './targets.ts';

/**
 * Feeds mutated bytes to whatever reads them. `npm run fuzz -- --minutes N` goes on for longer and with another seed. What
 * fails is kept in `corpus/`, in hexadecimal, and tried again by every run: fix it, and commit the file with the fix.
 */

const corpus = join(import.meta.dirname, 'corpus');
const { FUZZ_MINUTES, FUZZ_SEED } = process.env;
const seed = Number(FUZZ_SEED ?? 1);
const RUNS = 1_500;
/** Between two looks at the clock. */
const BATCH = 100;

function kept(target: string): Uint8Array[] {
  const names = readdirSync(corpus).filter((name) => name.startsWith(`${target}.`));
  return names.map((name) => Buffer.from(readFileSync(join(corpus, name), 'latin1').trim(), 'hex'));
}

/** Whether there is time, or there are runs, for another batch. */
function budget(): (runs: number) => boolean {
  if (FUZZ_MINUTES === undefined) return (runs) => runs < RUNS;
  const endsAtMs = performance.now() + (Number(FUZZ_MINUTES) * 60_000) / targets.length;
  return () => performance.now() < endsAtMs;
}

test.each(targets)(
  '$name reads whatever comes',
  (target) => {
    const inputs = [...target.seeds, ...kept(target.name)];
    for (const input of inputs) target.run(input);
    const random = randomFrom(seed);
    const goesOn = budget();
    let runs = 0;
    for (; goesOn(runs); runs += BATCH) {
      for (let i = 0; i < BATCH; i++) {
        const bytes = mutate(inputs, random);
        try {
          target.run(bytes);
        } catch (error) {
          const file = join(corpus, `${target.name}.${seed}-${runs + i}.hex`);
          writeFileSync(file, `${Buffer.from(bytes).toString('hex')}\n`);
          throw new Error(`seed ${seed}, run ${runs + i}; the input is in ${file}`, { cause: error });
        }
      }
    }
    expect(runs).toBeGreaterThan(0);
  },
  FUZZ_MINUTES === undefined ? undefined : Number(FUZZ_MINUTES) * 60_000 + 30_000,
);
