import { type Command, InvalidArgumentError } from 'commander';
import { WEIGHT_DEFAULT, WEIGHT_MAX, WEIGHT_MIN } from '../../nodes/node.ts';
import { wholeNumber } from '../options.ts';

/** How a node registers itself; `breakwater broker` and `breakwater agent` share it. Times are in seconds. */
export interface NodeOptions {
  readonly id?: string;
  readonly pool: string;
  readonly weight: number;
  readonly heartbeat: number;
  readonly forgetAfter: number;
  readonly grace: number;
}

export function withNodeOptions(command: Command): Command {
  return command
    .option('--id <id>', 'id of the node; without one, the host:port that proxies dial')
    .option('--pool <name>', 'pool of the node', 'default')
    .option('--weight <n>', 'share of devices, 1 to 100', wholeNumber(WEIGHT_MIN, WEIGHT_MAX), WEIGHT_DEFAULT)
    .option(
      '--heartbeat <seconds>',
      'between two heartbeats; unhealthy after three missed ones',
      seconds(0.2, 30),
      1,
    )
    .option(
      '--forget-after <seconds>',
      'a node missing for so much longer is removed',
      seconds(0, 86_400),
      60,
    )
    .option(
      '--grace <seconds>',
      'on SIGTERM the node drains for at most so long, then it is removed',
      seconds(0, 3600),
      10,
    );
}

/** Reads a number of seconds within bounds. */
function seconds(min: number, max: number): (typed: string) => number {
  return (typed) => {
    const value = Number(typed);
    if (/^\d+(\.\d+)?$/.test(typed) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a number of seconds from ${min} to ${max}.`);
  };
}
