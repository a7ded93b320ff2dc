import { expect, test } from 'vitest';
import { certificateViews } from '../../../src/proxy/certificate-expiry.ts';
import { createAuthority } from '../../support/certificates.ts';

const DAY_MS = 86_400_000;
const URL = 'mqtts://127.0.0.1:8883';
const rest = { clientAuth: 'none', minVersion: 'TLSv1.2', alpn: [], ticketKeys: [] } as const;

test('each certificate of a listener, by its subject, with the earliest date of its chain', () => {
  const root = createAuthority('root');
  const long = root.issue({ cn: 'long', names: 'DNS:a', days: 60 });
  const short = root.issue({ cn: 'short', names: 'DNS:b', days: 5 });
  const chained = { ...long, cert: long.cert + short.cert };
  const views = certificateViews(URL, { ...rest, certificates: [long, chained] });
  expect(views.map(({ listener, subject }) => [listener, subject])).toEqual([
    [URL, 'O=Test, CN=long'],
    [URL, 'O=Test, CN=long'],
  ]);
  const days = views.map(({ notAfter }) => Math.round((Date.parse(notAfter) - Date.now()) / DAY_MS));
  expect(days).toEqual([60, 5]);
});
