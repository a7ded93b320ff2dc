/** The command that checks a configuration file. */

import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { withExample } from '../options.ts';
import { print, printJson } from '../output/print.ts';

interface CheckOptions {
  readonly config: string;
  readonly elsewhere?: boolean;
  readonly json?: boolean;
  /** What is said of one connection, as `name=value`. */
  readonly explain?: readonly string[];
}

/** `breakwater check`: everything that is wrong with a configuration file, without starting anything. */
export function checkCommand(): Command {
  const command = new Command('check')
    .description('check a configuration file; lists everything that is wrong, each with its path and line')
    .requiredOption('-c, --config <file>', 'configuration file (YAML)')
    .option(
      '--explain <name=value...>',
      'say which rule decides over one connection and why those before it do not; names are those of a rule’s `when`',
    )
    .option(
      '--elsewhere',
      'the file is for another machine: pass over the addresses, files and engine of this one',
    )
    .option('--json', 'print JSON')
    .action(check);
  return withExample(
    command,
    'check -c breakwater.yaml',
    'check -c breakwater.yaml --explain clientId=meter-7 source=10.1.2.3',
  );
}

async function check({ config: path, explain, elsewhere, json }: CheckOptions): Promise<void> {
  try {
    const config = await readConfig(path);
    if (!elsewhere) await checkHere(config);
    if (explain === undefined) return tellValid(path, config, json);
    const { explainConnection, explanationText, readConnection } = await import('./explain.ts');
    const explanation = explainConnection(config, readConnection(explain));
    if (json) printJson({ valid: true, problems: [], ...explanation });
    else print(explanationText(explanation));
  } catch (error) {
    const { ConfigError } = await import('../../config/problems.ts');
    if (!json || !(error instanceof ConfigError)) throw error;
    printJson({ valid: false, problems: error.problems, more: error.more });
    process.exitCode = 2;
  }
}

async function readConfig(path: string): Promise<Config> {
  const [{ readConfigFile }, { parseConfig }] = await Promise.all([
    import('../config-file.ts'),
    import('../../config/load.ts'),
  ]);
  const token = process.env.BREAKWATER_TOKEN;
  return parseConfig(await readConfigFile(path), path, {
    environment: process.env,
    ...(token ? { adminToken: token } : {}),
  });
}

/** Whether this machine has what the file names. @throws ConfigError */
async function checkHere(config: Config): Promise<void> {
  const [{ configError }, { findMachineProblems }, { readTlsFiles, readUpstreamTlsFiles }] =
    await Promise.all([
      import('../../config/source.ts'),
      import('../../proxy/machine.ts'),
      import('../../proxy/tls-files.ts'),
    ]);
  const files = [await readTlsFiles(config.listeners, []), await readUpstreamTlsFiles(config.pools)];
  const found = [...(await findMachineProblems(config)), ...files.flatMap(({ problems }) => problems)];
  if (found.length > 0) throw configError(config, found);
}

function tellValid(path: string, config: Config, json = false): void {
  const nodes = config.pools.reduce((sum, pool) => sum + pool.nodes.length, 0);
  const counts = `listeners ${config.listeners.length}, pools ${config.pools.length}, nodes ${nodes}`;
  if (json) printJson({ valid: true, problems: [] });
  else print(`${path} is valid: ${counts}`);
}
