import { Command } from 'commander';
import type { ConfigCheck, ReloadView } from '../../admin/backend.ts';
import { printable } from '../../base/printable.ts';
import { createAdminClient } from '../admin-client.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { print, printError, printJson } from '../output/print.ts';

/** `breakwater reload`: the proxy reads its configuration again. */
export function reloadCommand(): Command {
  const command = new Command('reload')
    .description('have the proxy read its configuration again and apply what changed, as SIGHUP does')
    .option('--check', 'only say what is wrong with it and what would change; exit code 2 if something is')
    .action(async (options: ReloadOptions) => {
      const admin = createAdminClient(options);
      if (options.check) return tellCheck(await admin.get<ConfigCheck>('check'), options.json);
      const view = await admin.post<ReloadView>('reload');
      if (options.json) printJson(view);
      else print(changesText(view, view.certificates));
    });
  return withExample(withAdminOptions(command), 'reload', 'reload --check');
}

interface ReloadOptions extends DataOptions {
  readonly check?: boolean;
}

function tellCheck(check: ConfigCheck, json = false): void {
  if (!check.valid) process.exitCode = 2;
  if (json) return printJson(check);
  for (const warning of check.warnings) printError(printable(`warning: ${warning}`));
  for (const problem of check.problems) printError(printable(`error: ${problem}`));
  if (check.valid) print(`a reload would go by it: ${changesText(check, [])}`);
}

/** `listeners: added mqtt://…; pools: changed default; settings: rules` */
function changesText(
  { listeners, pools, settings }: Omit<ReloadView, 'certificates'>,
  certificates: readonly string[],
): string {
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
