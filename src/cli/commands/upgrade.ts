import { Command } from 'commander';
import type { UpgradeView } from '../../admin/backend.ts';
import { createAdminClient } from '../admin-client.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { print, printJson } from '../output/print.ts';

/** The new process has a minute to get ready, and then connections go over. */
const TIMEOUT_MS = 180_000;

/** `breakwater upgrade`: the same proxy goes on in a new process; devices stay connected. */
export function upgradeCommand(): Command {
  const command = new Command('upgrade')
    .description(
      'have the proxy go on in a new process of the program as it is installed now; devices stay connected',
    )
    .action(async (options: DataOptions) => {
      const view = await createAdminClient(options).post<UpgradeView>('upgrade', undefined, TIMEOUT_MS);
      if (options.json) printJson(view);
      else print(upgradeText(view));
    });
  return withExample(withAdminOptions(command), 'upgrade');
}

/** `version 1.2.0 → 1.3.0, process 4711 → 4790: 5000 connections went over in 1.3 s; 12 stay …` */
function upgradeText({ from, to, connections, left, seconds }: UpgradeView): string {
  const version = from.version === to.version ? from.version : `${from.version} → ${to.version}`;
  const went = `${connections} ${connections === 1 ? 'connection' : 'connections'} went over in ${seconds.toFixed(1)} s`;
  const stay = left === 0 ? '' : `; ${left} stay with process ${from.pid} until they leave`;
  return `version ${version}, process ${from.pid} → ${to.pid}: ${went}${stay}`;
}
