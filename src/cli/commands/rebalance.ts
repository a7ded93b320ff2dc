/** The command that moves sessions from full nodes to empty ones, over the admin API. */

import { Command } from 'commander';
import type { RebalanceRequest, RebalanceView } from '../../admin/backend.ts';
import { createAdminClient } from '../admin-client.ts';
import { type DataOptions, wholeNumber, withAdminOptions, withExample } from '../options.ts';
import { report } from '../output/print.ts';
import { followMoves, RATE_OPTION, tolerance } from './moves.ts';

interface RebalanceOptions extends DataOptions, RebalanceRequest {
  readonly wait: boolean;
}

/** `breakwater rebalance`: evens sessions out between nodes. */
export function rebalanceCommand(): Command {
  const command = new Command('rebalance')
    .description('move just enough sessions from the fullest nodes to the emptiest')
    .option('--pool <name>', 'only this pool; without one, every pool whose strategy allows it')
    .option(...RATE_OPTION, wholeNumber(1, 100_000))
    .option(
      '--tolerance <x>',
      'difference between the fullest and the emptiest node that is left, in parts of the fair share; 0.1',
      tolerance,
    )
    .option('--no-wait', 'do not wait for the end')
    .action(async ({ pool, rate, tolerance, ...options }: RebalanceOptions) => {
      const admin = createAdminClient(options);
      const begun = await admin.post<RebalanceView>('rebalance', { pool, rate, tolerance });
      if (!options.wait) {
        return report(options, begun, `rebalancing ${begun.pools.join(', ')}`);
      }
      const end = await followMoves(() => admin.get<RebalanceView>('rebalance'), options.json === true);
      report(options, end, rebalanceSentence(end));
      if (end.state !== 'done') process.exitCode = 1;
    });
  return withExample(
    withAdminOptions(command),
    'rebalance',
    'rebalance --pool default --rate 50 --tolerance 0.05',
  );
}

/** How a rebalance ended, for people. */
export function rebalanceSentence({ state, pools, moved, spread, tolerance }: RebalanceView): string {
  const spreadText = `fullest and emptiest node differ by ${Math.round(spread * 100)}% of the fair share`;
  const even = spread <= tolerance ? 'is even' : 'is as even as whole sessions can be';
  const how = state === 'done' ? even : 'is not even, and nothing more can be moved';
  return `${pools.join(', ')} ${how}; sessions moved: ${moved}, ${spreadText}`;
}
