import { Command } from 'commander';

/** `breakwater reference`, hidden: prints `docs/configuration.md`; `npm run docs` writes it. */
export function referenceCommand(): Command {
  return new Command('reference').description('print the configuration reference').action(async () => {
    const { configurationPage } = await import('../../config/document.ts');
    process.stdout.write(configurationPage());
  });
}
