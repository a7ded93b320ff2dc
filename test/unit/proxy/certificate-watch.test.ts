import { expect, test } from 'vitest';
import { CertificateWatch, type UsedCertificate } from '../../../src/proxy/certificate-watch.ts';

const DAY_MS = 86_400_000;

function scene(...certificates: UsedCertificate[]) {
  const clock = { at: 0, now: () => clock.at };
  const events: unknown[] = [];
  const lines: string[] = [];
  const say = (_fields: unknown, message?: string) => void lines.push(message ?? '');
  const watch = new CertificateWatch({
    certificates: () => certificates,
    emit: ({ subject, state }) => events.push([subject, state]),
    clock,
    log: { warn: say, error: say },
  });
  watch.stop(); // it is looked at by hand
  return { clock, look: () => watch.look(), events, lines, certificates };
}

test('a certificate is told of three weeks before its end, and at its end, each once', () => {
  const notAfter = new Date(30 * DAY_MS).toISOString();
  const { clock, look, events, lines } = scene({ listener: 'mqtts://a', subject: 'CN=a', notAfter });
  for (const day of [0, 8, 9, 10, 29, 30, 31]) {
    clock.at = day * DAY_MS;
    look();
  }
  expect(events).toEqual([
    ['mqtts://a', 'expires-soon'],
    ['mqtts://a', 'expired'],
  ]);
  expect(lines).toEqual(['a certificate expires soon', 'a certificate has expired']);
});

test('one that was renewed is told of anew when it is due', () => {
  const pool = { pool: 'default', subject: 'CN=proxy' };
  const { clock, look, events, certificates } = scene({ ...pool, notAfter: new Date(DAY_MS).toISOString() });
  look();
  certificates[0] = { ...pool, notAfter: new Date(90 * DAY_MS).toISOString() };
  look();
  clock.at = 80 * DAY_MS;
  look();
  expect(events).toEqual([
    ['default', 'expires-soon'],
    ['default', 'expires-soon'],
  ]);
});
