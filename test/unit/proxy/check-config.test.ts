import { expect, test } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { checkReload } from '../../../src/proxy/check-config.ts';

const text = (more = '') => `
proxy: { engine: node }
pools:
  default: { nodes: [{ id: a, url: "mqtt://127.0.0.1:1883" }] }
${more}`;
const current = parseConfig(text(), 'test.yaml');
const look = (file: string) => checkReload(current, async () => parseConfig(file, 'test.yaml'));

test('what a reload would change is said, and nothing is changed', async () => {
  const found = await look(
    text('  web: { nodes: [{ id: w, url: "mqtt://127.0.0.1:1884" }] }\nlog: { level: warn }'),
  );
  expect(found).toMatchObject({
    valid: true,
    problems: [],
    pools: { added: ['web'] },
    settings: ['log.level'],
  });
  expect(found.warnings.join()).toContain('web'); // no listener and no rule leads to it
  expect(current.pools).toHaveLength(1);
});

test('what is wrong is said with its place', async () => {
  const found = await look(text('nodez: 1'));
  expect(found.valid).toBe(false);
  expect(found.problems).toEqual([expect.stringMatching(/^line 5, column 1: nodez: is not a known key/)]);
});

test('what needs a restart is wrong for a reload', async () => {
  const found = await look(text('cluster: other'));
  expect(found).toMatchObject({ valid: false, problems: [expect.stringMatching(/^cluster: cannot change/)] });
});

test('files that are missing, and a file that cannot be read, are said', async () => {
  const secured =
    'listeners: [{ url: "mqtts://127.0.0.1:0", tls: { cert: /nowhere.crt, key: /nowhere.key } }]';
  expect((await look(text(secured))).problems.join()).toContain('/nowhere.crt');
  const unreadable = async () => {
    throw new BreakwaterError('CONFIG_UNREADABLE', 'cannot read it');
  };
  expect(await checkReload(current, unreadable)).toMatchObject({
    valid: false,
    problems: ['cannot read it'],
  });
});
