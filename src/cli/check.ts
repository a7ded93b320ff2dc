import { Command } from 'commander';
import { withExample } from './options.ts';
import { print, printJson } from './print.ts';

interface CheckOptions {
  readonly config: string;
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
    .option('--json', 'print JSON')
    .action(check);
  return withExample(
    command,
    'check -c breakwater.yaml',
    'check -c breakwater.yaml --explain clientId=meter-7 source=10.1.2.3',
  );
}

async function check({ config: path, json, explain }: CheckOptions): Promise<void> {
  const [{ readConfigFile }, { parseConfig }, { ConfigError }, { readTlsFiles, readUpstreamTlsFiles }] =
    await Promise.all([
      import('./config-file.ts'),
      import('../config/load.ts'),
      import('../config/problems.ts'),
      import('../server/tls-files.ts'),
    ]);
  const text = await readConfigFile(path);
  const token = process.env.BREAKWATER_TOKEN;
  try {
    const config = parseConfig(text, path, {
      environment: process.env,
      ...(token ? { adminToken: token } : {}),
    });
    const files = [await readTlsFiles(config.listeners, []), await readUpstreamTlsFiles(config.pools)];
    const problems = files.flatMap((each) => each.problems);
    if (problems.length > 0) throw new ConfigError(path, problems);
    if (explain !== undefined) {
      const { explainConnection, explanationText, readConnection } = await import('./explain.ts');
      const explanation = explainConnection(config, readConnection(explain));
      if (json) printJson({ valid: true, problems: [], ...explanation });
      else print(explanationText(explanation));
      return;
    }
    const nodes = config.pools.reduce((sum, pool) => sum + pool.nodes.length, 0);
    if (json) printJson({ valid: true, problems: [] });
    else {
      print(
        `${path} is valid: listeners ${config.listeners.length}, pools ${config.pools.length}, nodes ${nodes}`,
      );
    }
  } catch (error) {
    if (!json || !(error instanceof ConfigError)) throw error;
    printJson({ valid: false, problems: error.problems });
    process.exitCode = 2;
  }
}
