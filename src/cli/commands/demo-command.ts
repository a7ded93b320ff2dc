/** The options of `breakwater demo`; what it does is in `demo.ts`, which is loaded only when it runs. */

import { Command, Option } from 'commander';
import { strategies } from '../../policy/balance/index.ts';
import { wholeNumber, withExample } from '../options.ts';

interface DemoOptions {
  readonly brokers: number;
  readonly devices: number;
  readonly listen?: string;
  readonly admin?: string;
  readonly strategy?: string;
}

/** `breakwater demo`: what `npm start` runs. */
export function demoCommand(): Command {
  const command = new Command('demo')
    .description('run a whole cluster on this machine: embedded brokers, the proxy and the dashboard')
    .option('--brokers <n>', 'embedded brokers, 1 to 16', wholeNumber(1, 16), 3)
    .option('--devices <n>', 'devices that publish and subscribe, 0 to 10000', wholeNumber(0, 10_000), 0)
    .option('--listen <url>', 'address for devices; without one, mqtt://127.0.0.1:1883')
    .option('--admin <url>', 'address of the admin API; without one, http://127.0.0.1:9883')
    .addOption(new Option('--strategy <name>', 'how a node is chosen').choices(Object.keys(strategies)))
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('./demo.ts');
      process.exitCode = await runDemo(options);
    });
  return withExample(command, 'demo --brokers 5 --devices 20', 'demo --listen mqtt://127.0.0.1:2883');
}
