import { Argument, Command } from 'commander';
import type { BanView, NodeView, PoolView } from '../../admin/backend.ts';
import { createAdminClient } from '../admin-client.ts';
import { withExample } from '../options.ts';
import { type Askable, askables, completionScript, type Shell, shells } from '../output/completion.ts';
import { print } from '../output/print.ts';

/** `breakwater completion bash|zsh|fish`. The scripts call it again as `completion nodes`, and so on. */
export function completionCommand(): Command {
  const command = new Command('completion')
    .description(
      'print a script that has the shell complete commands, options, and the ids of nodes, pools and bans',
    )
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices([...shells, ...askables]));
  command.action(async (what: Shell | Askable) => {
    if (isAskable(what)) return print((await ask(what)).join('\n'));
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

function isAskable(what: Shell | Askable): what is Askable {
  return askables.some((each) => each === what);
}

/** The shell asks at whatever BREAKWATER_ADMIN says. */
async function ask(what: Askable): Promise<readonly string[]> {
  const found = await createAdminClient({}).get<readonly (NodeView | PoolView | BanView)[]>(what);
  return found.map((view) => ('id' in view ? view.id : view.name)).filter((name) => NAME.test(name));
}
