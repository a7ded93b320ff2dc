import { z } from 'zod';
import { exampleDocument } from './example.ts';
import { documentSchema } from './schema.ts';

/** What `z.toJSONSchema` says of one key, as far as the page shows it; `kind` and `unit` are our own metadata. */
interface Described {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly kind?: string;
  readonly unit?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
  readonly additionalProperties?: Described | boolean;
}

/** The page `docs/configuration.md`, whole, made from the schema. */
export function configurationPage(): string {
  const schema = z.toJSONSchema(documentSchema, { io: 'input' }) as Described;
  const keys = Object.entries(schema.properties ?? {});
  const plain = keys.filter(([, value]) => !isSection(value));
  const sections = keys.filter(([, value]) => isSection(value));
  return `${[
    '# Configuration',
    'Made from the schema by `npm run docs`; a test fails when it is not current.',
    'One YAML file, given as `breakwater start -c breakwater.yaml`. Every key is optional unless marked as required. Unknown keys are refused, and `breakwater check -c breakwater.yaml` lists everything that is wrong at once, each with its path and line. Flags are laid over the file: `--listen` replaces its listeners, `--node` adds to its nodes, `--strategy` holds for every pool, `--redis` keeps the membership there, `--admin` moves the admin API.',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what people write
    'Where a value is to be text, `"${NAME}"` as a whole takes it from the environment variable of that name; a variable that is not set is a problem. Secrets need not stand in the file.',
    ...(plain.length === 0 ? [] : [table(plain.map(([name, value]) => row(name, value, false)))]),
    ...sections.flatMap(([name, value]) => [
      `## \`${name}\``,
      value.description ?? '',
      table(rowsOf('', inner(value))),
    ]),
    '## A whole file',
    `\`\`\`yaml\n${exampleDocument}\`\`\``,
  ].join('\n\n')}\n`;
}

function isSection(value: Described): boolean {
  return inner(value).properties !== undefined;
}

/** What one entry of a list or of a named set looks like; anything else is itself. */
function inner(value: Described): Described {
  if (value.items !== undefined) return value.items;
  return typeof value.additionalProperties === 'object' ? value.additionalProperties : value;
}

/** One row a key, keys of mappings within joined by dots, of lists by `[]`. */
function rowsOf(prefix: string, mapping: Described): string[] {
  return Object.entries(mapping.properties ?? {}).flatMap(([name, value]) => {
    const path = `${prefix}${name}`;
    if (!isSection(value)) return [row(path, value, mapping.required?.includes(name) ?? false)];
    if (value.items === undefined) return rowsOf(`${path}.`, value);
    return [row(`${path}`, value, false), ...rowsOf(`${path}[].`, value.items)];
  });
}

function row(path: string, value: Described, required: boolean): string {
  const cells = [
    `\`${path}\``,
    kindOf(value),
    required ? 'required' : defaultOf(value),
    value.description ?? '',
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function table(rows: readonly string[]): string {
  return ['| key | type | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function kindOf(value: Described): string {
  if (value.kind !== undefined) return value.kind;
  if (value.enum !== undefined) return value.enum.map((word) => `\`${word}\``).join(', ');
  if (value.items !== undefined) return 'list';
  if (value.minimum === undefined || value.maximum === undefined) return value.type ?? '';
  return `${value.minimum}-${value.maximum} ${value.unit ?? ''}`;
}

function defaultOf(value: Described): string {
  if (value.default === undefined) return '';
  const shown = value.default;
  return `\`${typeof shown === 'object' ? JSON.stringify(shown) : shown}\``;
}
