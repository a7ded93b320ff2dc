// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what people write
import { expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';

const parse = (text: string, environment: Record<string, string> = {}) =>
  parseConfig(text, 'f', { environment });

it('takes a whole value from the environment, in block and flow, and leaves parts alone', () => {
  const { cluster, admin } = parse('cluster: ${NAME}\nadmin: { token: "${TOKEN}" }', {
    NAME: 'c',
    TOKEN: 's3cret',
  });
  expect([cluster, admin.token]).toEqual(['c', 's3cret']);
  expect(parse('admin: { token: "a${NAME}" }').admin.token).toBe('a${NAME}');
});

it('names a variable that is missing, once, with path and line', () => {
  expect(() => parse('log: {}\ncluster: ${NAME}')).toThrow(
    'f: one problem\n  line 2, column 1: cluster: environment variable NAME is not set',
  );
});

it('does not repeat the value of a variable in a problem', () => {
  const text = 'cluster: ${NAME}\npools: { default: { strategy: "${LONG}", nodes: [{ url: "${NAME}" }] } }';
  const long = 'hunter2 '.repeat(20);
  expect(() => parse(text, { NAME: 'hunter 2', LONG: long })).toThrow(
    /not '\$\{NAME\}'(.|\n)*not '\$\{LONG\}'/,
  );
  expect(() => parse(text, { NAME: 'hunter 2', LONG: long })).not.toThrow(/hunter/);
});

it('reads the variables of the file only, not those within variables', () => {
  expect(parse('admin: { token: "${A}" }', { A: '${B}' }).admin.token).toBe('${B}');
});
