import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { choice, text } from './fields.ts';

/** How listeners speak TLS. The files that it names are read by whoever starts the proxy. */

/** Schemes that need it; all others refuse it. */
const secureSchemes = ['mqtts', 'wss', 'https'];

/** What a listener's `tls` says. Paths are as the program opens them. */
export interface TlsConfig {
  /** At least one. The first serves devices that name no server, or one that none is for. */
  readonly certificates: readonly CertificateConfig[];
  readonly clientCa: string | undefined;
  /** `request` serves devices without a certificate too; one that is shown must be good. */
  readonly clientAuth: 'none' | 'request' | 'require';
  readonly crl: string | undefined;
  readonly expiredCrl: 'refuse' | 'tolerate';
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL's names, with colons between them; undefined: the engines' own choice. */
  readonly ciphers: string | undefined;
  readonly records: TlsRecords;
}

/** Who seals and opens records behind the handshake, in the engines for Linux. */
export type TlsRecords = 'own' | 'openssl';

export interface CertificateConfig {
  readonly cert: string;
  readonly key: string;
  /** Instead of the names in the certificate. */
  readonly names: readonly string[] | undefined;
}

/** Of a file in PEM. */
export const pemPath = (description: string) => text(4096).meta({ kind: 'path', description });

/** A path of the configuration, which is relative to the configuration's own folder, from where the program runs. */
export function pathFrom(fileName: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(fileName), path);
}

const certPath = () =>
  pemPath(
    'The server’s certificate in PEM, with those between it and the root behind it. Relative to the folder of this file, as all paths of `tls`.',
  );
const keyPath = () => pemPath('Its private key in PEM, not encrypted.');

const serverName = text(253).regex(/^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, {
  error: ({ input }) => `must be a host name such as mqtt.example.org or *.example.org, not '${input}'`,
});

/** The same words for listeners and for nodes. */
export const tlsRecords = () =>
  choice(['own', 'openssl'])
    .default('own')
    .describe(
      'Who seals and opens TLS records behind the handshake, in the engines for Linux. `own`: Breakwater, with the ciphers of OpenSSL; an idle connection then takes little memory. `openssl`: OpenSSL itself, which it is for suites without AEAD whatever this says. The node engine leaves records to Node. A reload changes it for connections from then on.',
    );

export const tlsSchema = z
  .strictObject({
    cert: certPath(),
    key: keyPath(),
    clientCa: pemPath('The authorities that sign the devices’ certificates, in PEM.').optional(),
    clientAuth: choice(['none', 'request', 'require'])
      .default('none')
      .describe(
        'Whether devices show a certificate. `request` serves those without one too; one that is shown must be good. Both need `clientCa`.',
      ),
    crl: pemPath(
      'Certificate revocation lists in PEM, one of every authority of `clientCa`, and of those between them and the devices: every certificate of a device’s chain is looked up. Read again when it changes.',
    ).optional(),
    expiredCrl: choice(['refuse', 'tolerate'])
      .default('refuse')
      .describe(
        'What becomes of devices with a certificate when a list of `crl` is past its next update. `refuse`: none is let in, because nobody knows what was revoked since. `tolerate`: the list counts as it is; the log and `status` say it.',
      ),
    minVersion: choice(['TLSv1.2', 'TLSv1.3'])
      .default('TLSv1.2')
      .describe('The least version of TLS that is spoken.'),
    ciphers: text(4096)
      .regex(/^[A-Za-z0-9_+!:@=.-]+$/, {
        error: 'must be OpenSSL’s names of ciphers with colons between them',
      })
      .optional()
      .meta({
        kind: 'names',
        description:
          'Ciphers in OpenSSL’s names, best first, with colons between them: those of TLS 1.3 begin with `TLS_`, and are all taken where none is named. Without it those with forward secrecy and AEAD; for old devices that know CBC only add such as `ECDHE-RSA-AES128-SHA256`.',
      }),
    records: tlsRecords(),
    certificates: z
      .array(
        z.strictObject({
          cert: certPath(),
          key: keyPath(),
          names: z
            .array(serverName)
            .min(1, { error: 'must not be an empty list' })
            .max(256, { error: 'must hold at most 256 names' })
            .optional()
            .describe('Server names that it is for, instead of those in it; `*.` stands for one label.'),
        }),
      )
      .max(256, { error: 'must hold at most 256 certificates' })
      .default([])
      .describe(
        'More certificates, chosen by the server name that the device asks for (SNI); `cert` serves those that ask for none, or for one that none is for. At most 256.',
      ),
  })
  .refine(({ clientAuth, clientCa }) => clientAuth === 'none' || clientCa !== undefined, {
    path: ['clientCa'],
    error: 'is required, because clientAuth asks devices for certificates',
  })
  .refine(({ clientAuth, crl }) => crl === undefined || clientAuth !== 'none', {
    path: ['crl'],
    error: 'is of no use with clientAuth none: devices show no certificates; set it to request or require',
  });

/** Whether a listener of this URL and its `tls` belong together: what is wrong, and undefined when nothing is. */
export function tlsProblem(url: string, tls: unknown): string | undefined {
  const scheme = /^[a-z]+/.exec(url)?.[0] ?? '';
  const isSecure = secureSchemes.includes(scheme);
  if (isSecure === (tls !== undefined)) return undefined;
  return isSecure
    ? `is required for ${scheme}; give at least { cert: FILE, key: FILE }`
    : `is of no use to ${scheme}; use mqtts, or leave it out`;
}

/** Every certificate in one list, with paths from where the program runs. */
export function toTls(
  { cert, key, clientCa, clientAuth, crl, certificates, ...rest }: z.output<typeof tlsSchema>,
  fileName: string,
): TlsConfig {
  const from = (file: string) => pathFrom(fileName, file);
  return {
    certificates: [{ cert, key, names: undefined }, ...certificates].map((each) => ({
      cert: from(each.cert),
      key: from(each.key),
      names: each.names,
    })),
    clientCa: clientCa === undefined ? undefined : from(clientCa),
    clientAuth,
    crl: crl === undefined ? undefined : from(crl),
    expiredCrl: rest.expiredCrl,
    minVersion: rest.minVersion,
    ciphers: rest.ciphers,
    records: rest.records,
  };
}
