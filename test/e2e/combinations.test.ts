import { beforeAll, expect, test } from 'vitest';
import { generate } from '../support/combinations/generate.ts';
import { play } from '../support/combinations/play.ts';
import { closeStreams } from '../support/combinations/streams.ts';
import { type Surroundings, startSurroundings } from '../support/combinations/surroundings.ts';
import { freePort } from '../support/free-port.ts';
import { atEnd } from '../support/process.ts';
import { patience } from '../support/wait.ts';

/**
 * Random valid configurations work: every listener carries traffic, the admin API answers as it is described, a reload to
 * another keeps those who may stay, commands do what they say, threads may die, and SIGTERM ends it. `npm run combinations`
 * tries as many as you like; what fails is printed with its seed.
 */

const numberOf = (name: string, fallback: number): number =>
  Number(process.env[`COMBINATIONS_${name}`] ?? fallback);
// These five have all engines, both stores and every kind of listener, with faults and without.
const runs = numberOf('RUNS', 5);
const seed = numberOf('SEED', 61);
const reloads = numberOf('RELOADS', 1);
/** Waiting is most of it. */
const parallel = numberOf('PARALLEL', 4);
const commands = process.env.COMBINATIONS_COMMANDS !== 'off';
const faults = process.env.COMBINATIONS_FAULTS ?? 'half';
const PORTS = 8;

let surroundings: Surroundings;
beforeAll(async () => {
  surroundings = await startSurroundings();
  atEnd(closeStreams);
});

async function tryOne(number: number): Promise<string | undefined> {
  const ports = await Promise.all(Array.from({ length: PORTS }, freePort));
  const hasFaults = faults === 'all' || (faults === 'half' && number % 2 === 1);
  let text = '';
  try {
    const combination = generate(number, surroundings, { reloads, ports });
    text = combination.configurations
      .map(({ document }) => JSON.stringify(document))
      .join('\n--- reload to\n');
    await play(combination, { faults: hasFaults, commands });
    return undefined;
  } catch (error) {
    return `seed ${number}${hasFaults ? ', with faults' : ''}: ${error instanceof Error ? error.message : error}\n${text}`;
  }
}

test(
  `${runs} configurations with ${reloads} reloads each, from seed ${seed}`,
  async () => {
    const problems: string[] = [];
    let next = seed;
    const player = async () => {
      while (next < seed + runs) {
        const problem = await tryOne(next++);
        if (problem === undefined) continue;
        problems.push(problem);
        if (runs > 40 || process.env.COMBINATIONS_RUNS) console.error(`\n${problem}\n`);
      }
    };
    await Promise.all(Array.from({ length: parallel }, player));
    expect(problems).toEqual([]);
  },
  patience(Math.max(240_000, runs * (reloads + 1) * 10_000)),
);
