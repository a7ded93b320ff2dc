import { expect, test } from 'vitest';
import type { CrlOptions } from '../../../src/engine/tls.ts';
import { CrlWatch } from '../../../src/proxy/crl-watch.ts';

const DAY_MS = 86_400_000;

function watch(expired: CrlOptions['expired']) {
  const clock = { at: 0, now: () => clock.at };
  const said: string[] = [];
  let refreshed = 0;
  let crl: CrlOptions = {
    ...{ pem: '', expired, isExpired: false },
    lists: [{ issuer: 'cn=a', issuerName: 'CN=a', nextUpdateMs: 10 * DAY_MS }],
  };
  const say = (level: string) => (fields: unknown, message?: string) =>
    void said.push(`${level} ${(fields as { issuer: string }).issuer} ${message}`);
  const watch = new CrlWatch({
    crls: () => [{ url: 'mqtts://a', crl }],
    expired: () => {
      refreshed++;
      crl = { ...crl, isExpired: true };
    },
    clock,
    log: { warn: say('warn'), error: say('error') },
  });
  watch.stop(); // it is looked at by hand
  return {
    look: () => watch.look(),
    views: () => watch.views(),
    ...{ said, clock, refreshed: () => refreshed },
    replace: (nextUpdateMs: number) => {
      crl = { ...crl, isExpired: false, lists: [{ issuer: 'cn=a', issuerName: 'CN=a', nextUpdateMs }] };
    },
  };
}

test.each([
  ['refuse', 'expired', 'error CN=a a revocation list has expired: no device with a certificate is let in'],
  [
    'tolerate',
    'tolerated',
    'error CN=a a revocation list has expired, and is used as it is (tls.expiredCrl)',
  ],
] as const)('%s: a list is warned of, then said once when it has expired, and its listener knows', (option, state, line) => {
  const { look, views, said, clock, refreshed, replace } = watch(option);
  look();
  expect([said, views()[0]?.state]).toEqual([[], 'valid']);
  clock.at = 9.5 * DAY_MS;
  for (let time = 0; time < 3; time++) look();
  expect(said).toEqual(['warn CN=a a revocation list expires soon']);
  clock.at = 10 * DAY_MS;
  for (let time = 0; time < 3; time++) look();
  expect([said.slice(1), refreshed()]).toEqual([[line], 1]);
  expect(views()).toEqual([
    { listener: 'mqtts://a', issuer: 'CN=a', nextUpdate: '1970-01-11T00:00:00.000Z', state },
  ]);
  replace(20 * DAY_MS);
  look();
  expect([said.length, views()[0]?.state]).toEqual([2, 'valid']);
});
