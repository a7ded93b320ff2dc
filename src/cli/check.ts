import { Command } from 'commander';
import { withExample } from './options.ts';
import { printJson } from './print.ts';

interface CheckOptions {
  readonly config: string;
  readonly json?: boolean;
}

/** `breakwater check`: everything that is wrong with a configuration file, without starting anything. */
export function checkCommand(): Command {
  const command = new Command('check')
    .description('check a configuration file; lists everything that is wrong, each with its path and line')
    .requiredOption('-c, --config <file>', 'configuration file (YAML)')
    .option('--json', 'print JSON')
    .action(check);
  return withExample(command, 'check -c breakwater.yaml');
}

async function check({ config: path, json }: CheckOptions): Promise<void> {
  const [{ readConfigFile }, { parseConfig }, { ConfigError }] = await Promise.all([
    import('./config-file.ts'),
    import('../config/load.ts'),
    import('../config/problems.ts'),
  ]);
  const text = await readConfigFile(path);
  const token = process.env.BREAKWATER_TOKEN;
  try {
    const config = parseConfig(text, path, {
      environment: process.env,
      ...(token ? { adminToken: token } : {}),
    });
    const nodes = config.pools.reduce((sum, pool) => sum + pool.nodes.length, 0);
    if (json) printJson({ valid: true, problems: [] });
    else {
      console.log(
        `${path} is valid: listeners ${config.listeners.length}, pools ${config.pools.length}, nodes ${nodes}`,
      );
    }
  } catch (error) {
    if (!json || !(error instanceof ConfigError)) throw error;
    printJson({ valid: false, problems: error.problems });
    process.exitCode = 2;
  }
}
