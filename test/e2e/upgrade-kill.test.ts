import { expect, test } from 'vitest';
import { performKills } from '../../bench/upgrade/kills.ts';
import { main } from '../support/cli.ts';

/** Real processes, and devices of all kinds with steady traffic. The seed says which process is killed, and when. */

test.runIf(process.platform === 'linux')(
  'who is killed or stopped in the middle of an upgrade takes only its own devices along, and they come back through the other',
  async () => {
    const seed = Number(process.env.FAST_CHECK_SEED);
    const play = { main, engine: 'epoll', devices: 48, rate: 200, kills: 3, stops: 2, seed };
    const { rounds, violations } = await performKills(play);
    expect(violations, `seed ${seed}`).toEqual([]);
    expect(rounds).toHaveLength(5);
  },
);
