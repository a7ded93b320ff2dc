import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OLDEST_NODE, whyTooOld } from '../../../src/cli/node-version.ts';

/** Which versions of Node.js the program runs on. */

test.each(['18.20.8', '20.18.3', '0.12.18'])('not on %s, and it says so', (version) => {
  expect(whyTooOld(version)).toBe(`this is Node.js ${version}; breakwater needs ${OLDEST_NODE} or later`);
});

test.each(['20.19.0', '20.20.2', '21.0.0', '26.10.0', '30.1.0-nightly'])('on %s', (version) => {
  expect(whyTooOld(version)).toBeUndefined();
});

test('package.json promises the same', () => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ engines: { node: `>=${OLDEST_NODE}` } });
});
