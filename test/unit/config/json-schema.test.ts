import { expect, test } from 'vitest';
import { configurationSchema, knownKeys } from '../../../src/config/json-schema.ts';
import { parseConfig } from '../../../src/config/load.ts';

test('the JSON Schema has every key with its meaning, refuses others, and has no words but those of the standard', () => {
  const schema = configurationSchema() as { properties: Record<string, Record<string, unknown>> };
  expect(schema).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
    properties: { cluster: { type: 'string', default: 'default', description: expect.any(String) } },
  });
  expect(schema.properties.limits).toMatchObject({
    properties: {
      maxConnections: {
        minimum: 1,
        default: 100_000,
        description: expect.stringMatching(/\(connections\)$/),
      },
    },
  });
  expect(JSON.stringify(schema)).not.toMatch(/"(kind|unit)":/);
});

test('the keys that may stand at a path, through lists and names of pools', () => {
  const known = knownKeys();
  expect(known([])).toContain('listeners');
  expect(known(['listeners', 3, 'tls'])).toContain('clientCa');
  expect(known(['pools', 'any', 'nodes', 0])).toContain('probeUrl');
  expect(known(['pools', 'constructor', 'toString'])).toEqual([]);
});

test.each([
  ['listners: []', "listners: is not a known key (did you mean 'listeners'?)"],
  [
    'pools: { default: { strategie: x } }',
    "pools.default.strategie: is not a known key (did you mean 'strategy'?)",
  ],
  [
    'pools: { a: { nodes: [{ uri: "mqtt://a" }] } }',
    "nodes[0].uri: is not a known key (did you mean 'url'?)",
  ],
  ['colour: red', 'colour: is not a known key\n'],
  [
    'pools: { meters: {} }\nlisteners: [{ url: "mqtt://0.0.0.0", pool: metres }]',
    "pool 'metres' does not exist (did you mean 'meters'?); use meters",
  ],
])('%s says what was probably meant', (text, message) => {
  let said = '';
  try {
    parseConfig(text, 'test.yaml');
  } catch (error) {
    said = `${(error as Error).message}\n`;
  }
  expect(said).toContain(message);
});
