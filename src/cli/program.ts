import { Command, CommanderError } from 'commander';
import { version } from '../base/version.ts';
import { agentCommand } from './commands/agent-command.ts';
import { banCommand } from './commands/ban.ts';
import { brokerCommand } from './commands/broker-command.ts';
import { checkCommand } from './commands/check.ts';
import { clientCommand } from './commands/client.ts';
import { completionCommand } from './commands/completion.ts';
import { configCommand, schemaCommand } from './commands/config.ts';
import { demoCommand } from './commands/demo-command.ts';
import { eventsCommand } from './commands/events.ts';
import { incidentsCommand } from './commands/incidents.ts';
import { nodeCommand } from './commands/node.ts';
import { proxyCommand } from './commands/proxy.ts';
import { rebalanceCommand } from './commands/rebalance.ts';
import { referenceCommand } from './commands/reference.ts';
import { reloadCommand } from './commands/reload.ts';
import { startCommand } from './commands/start.ts';
import { statusCommand } from './commands/status.ts';
import { topCommand } from './commands/top.ts';
import { upgradeCommand } from './commands/upgrade.ts';
import { exitCodeOf, reportError } from './exit.ts';

/** Handlers import what they need when they run, so that `breakwater node list` does not load a server. */
function createProgram(): Command {
  const program = new Command('breakwater')
    .description('The cluster address of an MQTT broker cluster.')
    .version(version())
    .addHelpText(
      'after',
      '\nExamples:\n  breakwater demo                       a whole cluster on this machine\n  breakwater start -c breakwater.yaml   the proxy\n  breakwater node list                  what it knows\n\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration.',
    );
  const commands = [
    startCommand(),
    checkCommand(),
    demoCommand(),
    brokerCommand(),
    agentCommand(),
    nodeCommand(),
    clientCommand(),
    banCommand(),
    rebalanceCommand(),
    proxyCommand(),
    statusCommand(),
    topCommand(),
    incidentsCommand(),
    eventsCommand(),
    reloadCommand(),
    upgradeCommand(),
    configCommand(),
    schemaCommand(),
    completionCommand(),
  ];
  for (const command of commands) program.addCommand(command);
  program.addCommand(referenceCommand(), { hidden: true });
  for (const command of everyCommand(program))
    command.exitOverride().showHelpAfterError('(--help shows how)');
  return program;
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

/** Runs one command line, `process.argv` as it is, and says how it went: 0 done, 1 failed, 2 wrong usage or configuration. */
export async function runCli(argv: readonly string[]): Promise<number> {
  let code = 0;
  try {
    await createProgram().parseAsync([...argv]);
    code = Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has printed its own message
    reportError(error);
    code = exitCodeOf(error);
  }
  return code;
}
