import { z } from 'zod';
import { parseAdminAddress } from './address.ts';
import { address, choice, name, text } from './fields.ts';
import { pathFrom, pemPath, type TlsConfig } from './tls.ts';

/** Where people and programs ask a proxy, and what each of them may do. */

/** Each may do what those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Somebody who may use the admin API, and the secret that shows who it is. */
export interface AdminToken {
  /** For the log; not a secret. */
  readonly name: string;
  readonly role: Role;
  readonly token: string;
}

/** Somebody who shows a certificate in place of a token. */
export interface AdminClient {
  /** Common name of the certificate. */
  readonly cn: string;
  readonly role: Role;
}

export interface AdminConfig {
  readonly url: string;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Of the role `admin`. */
  readonly token: string | undefined;
  /** Further ones. There is at least one token, or client, where `host` is not loopback. */
  readonly tokens: readonly AdminToken[];
  /** Absent: plain HTTP. */
  readonly tls: TlsConfig | undefined;
  readonly clients: readonly AdminClient[];
  /** A trace of a device may show payloads. */
  readonly tracePayloads: boolean;
}

/** The name in the log of those who use `admin.token`. */
export const TOKEN_NAME = 'admin';
const MAX_TOKENS = 64;
const MAX_CLIENTS = 256;

const adminTlsSchema = z.strictObject({
  cert: pemPath(
    'Certificate of the admin address in PEM, with those between it and the root behind it. Relative to the folder of this file; read again when it changes.',
  ),
  key: pemPath('Its private key in PEM, not encrypted.'),
  clientCa: pemPath(
    'The authorities that sign the certificates of people and programs, in PEM. Not those of devices.',
  ).optional(),
  clientAuth: choice(['request', 'require'])
    .default('request')
    .describe(
      'With `clientCa`. `request`: who shows no certificate may send a token instead, and probes need neither. `require`: nobody is heard without a certificate, probes and scrapers neither.',
    ),
  clients: z
    .array(
      z.strictObject({
        cn: text(256).meta({ kind: 'text', description: 'Common name of the certificate.' }),
        role: choice(roles).describe('As that of a token.'),
      }),
    )
    .max(MAX_CLIENTS, { error: `must hold at most ${MAX_CLIENTS} clients` })
    .default([])
    .describe(
      `Who needs no token, because a certificate says who it is; at most ${MAX_CLIENTS}. A token that is sent counts before the certificate.`,
    ),
});

const schema = z.strictObject({
  url: address(['http', 'https'], [], parseAdminAddress).default('http://127.0.0.1:9883').meta({
    kind: '`http://host:port`, `https://host:port`',
    description:
      'Address of the admin API and the dashboard. Elsewhere than on loopback it needs a token, or `tls.clients`. `https` needs `tls`.',
  }),
  token: text(1024).optional().meta({
    kind: 'text',
    description:
      'Bearer token of the role `admin`. Where the file has neither this nor `tokens`, the environment variable `BREAKWATER_TOKEN` is taken.',
  }),
  tokens: z
    .array(
      z.strictObject({
        name: name().meta({
          kind: 'name',
          description: 'Who has it: the log says it of every change. Not a secret.',
        }),
        role: choice(roles).describe(
          '`viewer` reads everything; `operator` also drains, enables, disables, weighs, moves, rebalances, kicks and traces; `admin` also adds and removes nodes, and reloads.',
        ),
        token: text(1024).meta({
          kind: 'text',
          description: 'The bearer token itself.',
        }),
      }),
    )
    .max(MAX_TOKENS, { error: `must hold at most ${MAX_TOKENS} tokens` })
    .default([])
    .describe(
      `People and programs that may use the admin API, each with a token of its own; at most ${MAX_TOKENS}. With any token every request must carry one.`,
    ),
  tls: adminTlsSchema.optional(),
  tracePayloads: z
    .boolean({ error: 'must be true or false' })
    .default(false)
    .describe(
      'Whether a trace of a device (`breakwater client trace --payload`) may show the beginnings of its payloads. What it shows goes nowhere else.',
    ),
});

export const adminSchema = schema.check(({ value, issues }) => {
  for (const [path, message] of tlsProblems(value))
    issues.push({ code: 'custom', input: value, path, message });
});

function tlsProblems({ url, tls }: z.output<typeof schema>): [path: string[], message: string][] {
  if (tls === undefined) {
    const message = 'is required for https; give at least { cert: FILE, key: FILE }';
    return url.startsWith('https:') ? [[['tls'], message]] : [];
  }
  if (!url.startsWith('https:')) return [[['tls'], 'is of no use to http; use https, or leave it out']];
  const isAsked = tls.clientAuth === 'require' || tls.clients.length > 0;
  const message = `is required, because ${tls.clients.length > 0 ? 'clients' : 'clientAuth'} asks for certificates`;
  return isAsked && tls.clientCa === undefined ? [[['tls', 'clientCa'], message]] : [];
}

/** Everybody who has a token. */
export function allTokens({ token, tokens }: Pick<AdminConfig, 'token' | 'tokens'>): readonly AdminToken[] {
  return token === undefined ? tokens : [{ name: TOKEN_NAME, role: 'admin', token }, ...tokens];
}

/** @param fileName what paths are relative to */
export function toAdmin(
  { token, tokens, tls, tracePayloads }: z.output<typeof schema>,
  fileName: string,
): Omit<AdminConfig, 'url' | 'host' | 'port'> {
  const clients = tls?.clients ?? [];
  return { token, tokens, tls: tls && toTlsConfig(tls, fileName), clients, tracePayloads };
}

function toTlsConfig(
  { cert, key, clientCa, clientAuth }: z.output<typeof adminTlsSchema>,
  fileName: string,
): TlsConfig {
  return {
    certificates: [{ cert: pathFrom(fileName, cert), key: pathFrom(fileName, key), names: undefined }],
    clientCa: clientCa && pathFrom(fileName, clientCa),
    clientAuth: clientCa === undefined ? 'none' : clientAuth,
    minVersion: 'TLSv1.2',
    ...{ crl: undefined, expiredCrl: 'refuse', ciphers: undefined, records: 'own' },
  };
}
