import { Argument, Command } from 'commander';
import type { NodeView, PoolView } from '../../admin/backend.ts';
import { createAdminClient } from '../admin-client.ts';
import { withExample } from '../options.ts';
import { type Askable, askables, completionScript, type Shell, shells } from '../output/completion.ts';
import { print } from '../output/print.ts';

/** `breakwater completion bash|zsh|fish`. The scripts call it again as `completion nodes` and `completion pools`. */
export function completionCommand(): Command {
  const command = new Command('completion')
    .description(
      'print a script that has the shell complete commands, options, and the ids of nodes and pools',
    )
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices([...shells, ...askables]));
  command.action(async (what: Shell | Askable) => {
    if (what === 'nodes' || what === 'pools') return print((await ask(what)).join('\n'));
    process.stdout.write(completionScript(what, command.parent ?? command));
  });
  return withExample(
    command,
    'completion bash > /etc/bash_completion.d/breakwater',
    'completion zsh > ~/.zfunc/_breakwater',
    'completion fish > ~/.config/fish/completions/breakwater.fish',
  );
}

/** Bash would expand what looks like a command: whatever answers there, nothing but names passes. */
const NAME = /^[A-Za-z0-9._:@-]{1,64}$/;

/** The shell asks at whatever BREAKWATER_ADMIN says. */
async function ask(what: Askable): Promise<readonly string[]> {
  const admin = createAdminClient({});
  const names =
    what === 'nodes'
      ? (await admin.get<readonly NodeView[]>('nodes')).map(({ id }) => id)
      : (await admin.get<readonly PoolView[]>('pools')).map(({ name }) => name);
  return names.filter((name) => NAME.test(name));
}
