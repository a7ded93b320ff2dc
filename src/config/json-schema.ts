import { z } from 'zod';
import type { Path } from './problems.ts';
import { documentSchema } from './schema.ts';

/** The schema of the configuration as JSON Schema (draft 2020-12), for editors and for what is to be said of unknown keys. */

interface Keyword {
  readonly properties?: Readonly<Record<string, Keyword>>;
  readonly items?: Keyword;
  readonly additionalProperties?: Keyword | boolean;
}

/** What `breakwater schema` prints. The words `kind` and `unit`, which are ours, go into the descriptions. */
export function configurationSchema(): object {
  const schema = z.toJSONSchema(documentSchema, {
    io: 'input',
    override({ jsonSchema }) {
      const { unit } = jsonSchema;
      if (typeof unit === 'string') jsonSchema.description = `${jsonSchema.description} (${unit})`;
      delete jsonSchema.kind;
      delete jsonSchema.unit;
    },
  });
  return { ...schema, title: 'Breakwater configuration' };
}

/** The keys that may stand in the mapping at a path; none where that is no mapping of fixed keys. */
export function knownKeys(): (path: Path) => readonly string[] {
  let root: Keyword | undefined;
  return (path) => {
    root ??= z.toJSONSchema(documentSchema, { io: 'input' }) as Keyword;
    let here: Keyword | undefined = root;
    for (const key of path) here = here && within(here, key);
    return Object.keys(here?.properties ?? {});
  };
}

function within({ properties, items, additionalProperties }: Keyword, key: PropertyKey): Keyword | undefined {
  if (typeof key === 'number') return items;
  const name = String(key);
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name];
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}
