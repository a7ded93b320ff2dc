import { Command } from 'commander';
import type { ReloadView } from '../../admin/backend.ts';
import { createAdminClient } from '../admin-client.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { print, printJson } from '../output/print.ts';

/** `breakwater reload`: the proxy reads its configuration again. */
export function reloadCommand(): Command {
  const command = new Command('reload')
    .description('have the proxy read its configuration again and apply what changed, as SIGHUP does')
    .action(async (options: DataOptions) => {
      const view = await createAdminClient(options).post<ReloadView>('reload');
      if (options.json) printJson(view);
      else print(reloadText(view));
    });
  return withExample(withAdminOptions(command), 'reload');
}

/** `listeners: added mqtt://…; pools: changed default; settings: rules` */
function reloadText({ listeners, pools, settings, certificates }: ReloadView): string {
  const named = (title: string, changes: ReloadView['pools']): string[] => {
    const parts = (['added', 'removed', 'changed'] as const).flatMap((how) =>
      changes[how].length === 0 ? [] : [`${how} ${changes[how].join(', ')}`],
    );
    return parts.length === 0 ? [] : [`${title}: ${parts.join(', ')}`];
  };
  const others = settings.length === 0 ? [] : [`settings: ${settings.join(', ')}`];
  const files = certificates.length === 0 ? [] : [`certificates: ${certificates.join(', ')}`];
  const lines = [...named('listeners', listeners), ...named('pools', pools), ...others, ...files];
  return lines.length === 0 ? 'nothing has changed' : lines.join('; ');
}
