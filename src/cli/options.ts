import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Flags } from '../config/flags.ts';
import { parseSince } from '../journal/journal.ts';
import type { AdminOptions } from './admin-client.ts';

/** Options that several commands share. */

export interface DataOptions extends AdminOptions {
  /** Print JSON instead of a table. */
  readonly json?: boolean;
}

/** For commands that talk to the admin API; `--json` where they print data. */
export function withAdminOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--admin <url>',
        'address of the admin API; without one that of BREAKWATER_ADMIN, else http://127.0.0.1:9883',
      ),
    )
    .addOption(
      new Option(
        '--token <token>',
        'token of the admin API; BREAKWATER_TOKEN keeps it out of the process list',
      ),
    )
    .option('--cacert <file>', 'authorities of the certificate of an https address; or BREAKWATER_CACERT')
    .option('--cert <file>', 'certificate to show there; or BREAKWATER_CERT')
    .option('--key <file>', 'its private key; or BREAKWATER_KEY')
    .option('--json', 'print JSON');
}

export interface WatchOptions extends DataOptions {
  readonly watch?: boolean;
}

/** For commands that show a table. */
export function withWatchOption(command: Command): Command {
  return command.option('-w, --watch', 'show it anew every second, until Ctrl-C');
}

/** What a configuration is made of: a file, and flags that are laid over it. */
export interface ConfigOptions {
  readonly config?: string;
  readonly listen?: readonly string[];
  readonly node?: readonly string[];
  readonly strategy?: string;
  readonly redis?: string;
  readonly admin?: string;
}

export function withConfigOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file (YAML); flags are laid over it')
    .option('--listen <url>', 'address for devices, such as mqtt://0.0.0.0:1883; may be repeated', collect)
    .option('--node <url[,weight=N][,id=ID][,pool=P]>', 'a node behind the address; may be repeated', collect)
    .option('--strategy <name>', 'round-robin, least-connections, source-hash or client-id-hash')
    .option('--redis <url>', 'membership store that proxies share')
    .option('--admin <url>', 'address of the admin API, such as http://127.0.0.1:9883');
}

/** With what the environment adds. */
export function flagsOf({ config: _, ...given }: ConfigOptions): Flags {
  const token = process.env.BREAKWATER_TOKEN;
  return { ...given, environment: process.env, ...(token ? { adminToken: token } : {}) };
}

export function withExample(command: Command, ...examples: readonly string[]): Command {
  const lines = examples.map((example) => `  breakwater ${example}`);
  return command.addHelpText(
    'after',
    `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.join('\n')}`,
  );
}

/** Reads a whole number within bounds. */
export function wholeNumber(min: number, max: number): (typed: string) => number {
  return (typed) => {
    const value = Number(typed);
    if (/^\d+$/.test(typed) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `--since`: how long ago, a time as in RFC 3339, or the id of an event. Read as what the admin API takes. */
export function sinceOption(): Option {
  return new Option('--since <when>', '10m (s, m, h, d), a time (RFC 3339), or the id of an event').argParser(
    (typed: string) => {
      const [, number, unit = ''] = /^(\d{1,6})([smhd])$/.exec(typed) ?? [];
      if (number === undefined) {
        if (parseSince(typed) !== undefined) return typed;
        throw new InvalidArgumentError('It must be such as 10m, a time (RFC 3339), or the id of an event.');
      }
      return new Date(Date.now() - Number(number) * (unitMs[unit] ?? 0)).toISOString();
    },
  );
}

/** For options that may be given several times. */
function collect(typed: string, before: readonly string[] = []): readonly string[] {
  return [...before, typed];
}
