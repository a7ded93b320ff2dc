import { Command, Option } from 'commander';
import { withExample } from '../options.ts';
import type { AgentCommandOptions } from '../registration/agent.ts';
import { withNodeOptions } from '../registration/registration-options.ts';

/** `breakwater agent`: membership for a broker that knows nothing of it. */
export function agentCommand(): Command {
  const command = new Command('agent')
    .description(
      'register a broker that cannot do so itself, and heartbeat for it while it answers a probe; SIGTERM drains it and takes it out',
    )
    .requiredOption('--node <url>', 'the broker, as proxies reach it, such as mqtt://10.0.0.1:1883')
    .requiredOption('--redis <url>', 'Redis that the proxies share; may hold credentials')
    .option('--cluster <name>', 'cluster of the proxies', 'default')
    .addOption(
      new Option('--probe <name>', 'how the broker is asked whether it serves')
        .choices(['tcp', 'mqtt'])
        .default('tcp'),
    );
  withNodeOptions(command).action(async (options: AgentCommandOptions) => {
    const { runAgent } = await import('../registration/agent.ts');
    process.exitCode = await runAgent(options);
  });
  return withExample(command, 'agent --node mqtt://10.0.0.1:1883 --redis redis://10.0.0.9:6379 --probe mqtt');
}
