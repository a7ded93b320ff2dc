import { Command } from 'commander';
import { type ConfigOptions, flagsOf, withConfigOptions, withExample } from '../options.ts';
import { print, printJson } from '../output/print.ts';

/** `breakwater config …` and `breakwater schema`: what a configuration comes to, and what may stand in one. */
export function configCommand(): Command {
  const show = new Command('show').description(
    'show the configuration that a start would go by: file, flags and environment, with every default; secrets are hidden',
  );
  withConfigOptions(show).option('--json', 'print JSON').action(showConfig);
  const family = new Command('config').description('show the configuration that a start would go by');
  family.addCommand(
    withExample(show, 'config show -c breakwater.yaml', 'config show --node mqtt://10.0.0.1:1883'),
  );
  return withExample(family, 'config show -c breakwater.yaml');
}

async function showConfig({ json, ...options }: ConfigOptions & { json?: boolean }): Promise<void> {
  const [{ effectiveDocument }, { hideSecrets }, { NO_FILE }] = await Promise.all([
    import('../../config/load.ts'),
    import('../../config/secrets.ts'),
    import('../../config/source.ts'),
  ]);
  const { config: path } = options;
  const { readConfigFile } = await import('../config-file.ts');
  const text = path === undefined ? '' : await readConfigFile(path);
  const shown = hideSecrets(effectiveDocument(text, path ?? NO_FILE, flagsOf(options)));
  if (json) return printJson(shown);
  const { stringify } = await import('yaml');
  print(stringify(shown, { lineWidth: 0 }).trimEnd());
}

export function schemaCommand(): Command {
  const command = new Command('schema')
    .description('print the JSON Schema of the configuration file, for editors')
    .action(async () => {
      const { configurationSchema } = await import('../../config/json-schema.ts');
      printJson(configurationSchema());
    });
  return withExample(command, 'schema > breakwater.schema.json');
}
