import { Command } from 'commander';

/** `breakwater reference docs`, hidden: writes what is made from code in that folder. `npm run docs` calls it. */
export function referenceCommand(): Command {
  return new Command('reference')
    .description('write the configuration reference, and the tables of operations.md')
    .argument('<folder>', 'where the documents are')
    .action(async (folder: string) => {
      const { readFileSync, writeFileSync } = await import('node:fs');
      const { join } = await import('node:path');
      const { configurationPage } = await import('../../config/document.ts');
      const { operationsSections } = await import('../documents/operations.ts');
      const { withSections } = await import('../documents/sections.ts');
      const operations = join(folder, 'operations.md');
      writeFileSync(join(folder, 'configuration.md'), configurationPage());
      const page = withSections(readFileSync(operations, 'utf8'), await operationsSections());
      writeFileSync(operations, page);
    });
}
