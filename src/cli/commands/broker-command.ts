/**
 * The options of `breakwater broker`; what it does is in `registration/broker.ts`, which is loaded only when it runs.
 */

import { Command } from 'commander';
import { withExample } from '../options.ts';
import type { BrokerCommandOptions } from '../registration/broker.ts';
import { withNodeOptions } from '../registration/registration-options.ts';

const DEFAULT_REDIS = 'redis://127.0.0.1:6379';

interface TypedOptions extends Omit<BrokerCommandOptions, 'join'> {
  /** `true` where no name follows. */
  readonly join?: string | true;
}

/** `breakwater broker`: one embedded broker as a process of its own. */
export function brokerCommand(): Command {
  const command = new Command('broker')
    .description(
      'run one embedded broker; brokers that share a Redis act as one, and join a cluster by themselves',
    )
    .option('--listen <url>', 'address that it accepts MQTT at', 'mqtt://127.0.0.1:1884')
    .option('--redis <url>', `Redis that its sessions are in; with --join by default ${DEFAULT_REDIS}`)
    .option('--join [cluster]', 'register as a node of this cluster of proxies, by default "default"')
    .option(
      '--advertise <url>',
      'address that proxies dial; without one that of --listen, and where that is 0.0.0.0 or [::] the address of this host name, in a container its own',
    );
  withNodeOptions(command).action(async ({ join, ...options }: TypedOptions) => {
    const { runBroker } = await import('../registration/broker.ts');
    const member = join && { join: join === true ? 'default' : join, redis: options.redis ?? DEFAULT_REDIS };
    process.exitCode = await runBroker({ ...options, ...member });
  });
  return withExample(
    command,
    'broker --listen mqtt://127.0.0.1:1884',
    'broker --listen mqtt://0.0.0.0:1883 --redis redis://10.0.0.9:6379 --join default',
  );
}
