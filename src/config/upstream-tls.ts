import { z } from 'zod';
import { newIpWords, parseIp } from '../protocol/address/ip.ts';
import { text } from './fields.ts';
import { pathFrom, pemPath, type TlsRecords, tlsRecords } from './tls.ts';

/** How a pool's nodes are reached by TLS: those whose URL is `mqtts`, and their probes. */

/** Paths are as the program opens them. */
export interface UpstreamTlsConfig {
  /** Absent: the authorities that Node.js comes with. */
  readonly ca: string | undefined;
  readonly serverName: string | undefined;
  readonly certificate: { readonly cert: string; readonly key: string } | undefined;
  readonly verify: boolean;
  readonly records: TlsRecords;
}

export const upstreamTlsSchema = z
  .strictObject({
    ca: pemPath(
      'The authorities that sign the nodes’ certificates, in PEM; without it those that Node.js comes with.',
    ).optional(),
    serverName: text(253)
      .refine(
        (name) => parseIp(name, newIpWords()) !== 0 || /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(name),
        {
          error: 'must be a host name or an IP address',
        },
      )
      .optional()
      .meta({
        kind: 'host name or IP address',
        description:
          'The name that the certificate of every node must be for, and that is asked for (SNI). Without it the host of the node’s URL: needed where that is an address and the certificate names a host.',
      }),
    cert: pemPath(
      'The certificate that is shown to nodes that ask for one, in PEM, with those between it and the root.',
    ).optional(),
    key: pemPath('Its private key in PEM, not encrypted.').optional(),
    verify: z
      .boolean({ error: 'must be true or false' })
      .default(true)
      .describe(
        'Whether a node must show a good certificate. `false` takes any: what passes is then hidden from those who listen, not from those who pose as the node.',
      ),
    records: tlsRecords(),
  })
  .check(({ value, issues }) => {
    for (const [one, other] of [
      ['cert', 'key'],
      ['key', 'cert'],
    ] as const) {
      if (value[one] === undefined || value[other] !== undefined) continue;
      issues.push({ code: 'custom', input: value, path: [other], message: `is required beside ${one}` });
    }
  });

export function toUpstreamTls(
  { ca, serverName, cert, key, verify, records }: z.output<typeof upstreamTlsSchema>,
  fileName: string,
): UpstreamTlsConfig {
  return {
    ca: ca && pathFrom(fileName, ca),
    serverName,
    certificate:
      cert === undefined || key === undefined
        ? undefined
        : { cert: pathFrom(fileName, cert), key: pathFrom(fileName, key) },
    verify,
    records,
  };
}
