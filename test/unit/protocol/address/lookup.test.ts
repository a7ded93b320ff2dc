import { expect, test } from 'vitest';
import { lookupBy } from '../../../../src/protocol/address/lookup.ts';

const lookup = lookupBy(async (host) => {
  if (host === 'nowhere') throw new Error('it does not resolve');
  return ['10.0.0.1', 'fd00::1'];
});

function asked(host: string, all: boolean): Promise<unknown[]> {
  return new Promise((resolve) => lookup(host, { all }, (...answer) => resolve(answer)));
}

test('all addresses are answered, or the first, as dns.lookup does', async () => {
  const found = [
    { address: '10.0.0.1', family: 4 },
    { address: 'fd00::1', family: 6 },
  ];
  expect(await asked('emqx', true)).toEqual([null, found]);
  expect(await asked('emqx', false)).toEqual([null, '10.0.0.1', 4]);
});

test('a name that does not resolve is an error', async () => {
  expect((await asked('nowhere', true))[0]).toEqual(new Error('it does not resolve'));
});
