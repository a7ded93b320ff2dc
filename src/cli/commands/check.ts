/** The command that checks a configuration file. */

import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import type { Finding, Problem } from '../../config/problems.ts';
import { withExample } from '../options.ts';
import { print, printError, printJson } from '../output/print.ts';

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
    .description(
      'check a configuration file; lists everything that is wrong, and what can hardly be meant, each with its path and line',
    )
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
  const warnings: Problem[] = [];
  try {
    const config = await readConfig(path);
    const { findWarnings } = await import('../../config/warnings.ts');
    warnings.push(...(await tellWarnings(config, findWarnings(config), json)));
    if (!elsewhere) {
      const { checkHere } = await import('../../proxy/check-config.ts');
      warnings.push(...(await tellWarnings(config, await checkHere(config), json)));
    }
    if (explain === undefined) return tellValid(path, config, warnings, json);
    const { explainConnection, explanationText, readConnection } = await import('./explain.ts');
    const explanation = explainConnection(config, readConnection(explain));
    if (json) printJson({ valid: true, problems: [], warnings, ...explanation });
    else print(explanationText(explanation));
  } catch (error) {
    const { ConfigError } = await import('../../config/problems.ts');
    if (!json || !(error instanceof ConfigError)) throw error;
    printJson({ valid: false, problems: error.problems, more: error.more, warnings });
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

/** On standard error, unless they are for a program. Returns them with the line of each. */
async function tellWarnings(config: Config, found: readonly Finding[], json = false): Promise<Problem[]> {
  const [{ placed }, { formatProblem }] = await Promise.all([
    import('../../config/source.ts'),
    import('../../config/problems.ts'),
  ]);
  const warnings = placed(config, found);
  if (!json) for (const warning of warnings) printError(`warning: ${formatProblem(warning)}`);
  return warnings;
}

function tellValid(path: string, config: Config, warnings: readonly Problem[], json = false): void {
  const nodes = config.pools.reduce((sum, pool) => sum + pool.nodes.length, 0);
  const counts = `listeners ${config.listeners.length}, pools ${config.pools.length}, nodes ${nodes}`;
  if (json) printJson({ valid: true, problems: [], warnings });
  else print(`${path} is valid: ${counts}`);
}
