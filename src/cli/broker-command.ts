import { Command } from 'commander';
import { withExample } from './options.ts';

interface BrokerOptions {
  readonly listen: string;
  readonly redis?: string;
}

/** `breakwater broker`: one embedded broker as a process of its own. */
export function brokerCommand(): Command {
  const command = new Command('broker')
    .description('run one embedded broker; brokers that share a Redis act as one cluster')
    .option('--listen <url>', 'address that it accepts MQTT at', 'mqtt://127.0.0.1:1884')
    .option('--redis <url>', 'Redis that its cluster shares')
    .action(async (options: BrokerOptions) => {
      const { runBroker } = await import('./broker.ts');
      process.exitCode = await runBroker(options);
    });
  return withExample(command, 'broker --listen mqtt://127.0.0.1:1884 --redis redis://127.0.0.1:6379');
}
