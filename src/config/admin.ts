import { z } from 'zod';
import { isLoopback, parseAdminAddress } from './address.ts';
import { address, choice, name, text } from './fields.ts';
import type { Finding } from './problems.ts';
import { at, listOf, textAt } from './raw.ts';

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

export interface AdminConfig {
  readonly url: string;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Of the role `admin`. */
  readonly token: string | undefined;
  /** Further ones. There is at least one token where `host` is not loopback. */
  readonly tokens: readonly AdminToken[];
}

/** Whoever has `admin.token` is called so in the log. */
const TOKEN_NAME = 'admin';
const MAX_TOKENS = 64;

export const adminSchema = z.strictObject({
  url: address(['http'], ['https'], parseAdminAddress).default('http://127.0.0.1:9883').meta({
    kind: '`http://host:port`',
    description: 'Address of the admin API and the dashboard. Elsewhere than on loopback it needs a token.',
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
          '`viewer` reads everything; `operator` also drains, enables, disables, weighs, moves, rebalances and kicks; `admin` also adds and removes nodes, and reloads.',
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
});

/** Everybody who has a token. */
export function allTokens({ token, tokens }: Pick<AdminConfig, 'token' | 'tokens'>): readonly AdminToken[] {
  return token === undefined ? tokens : [{ name: TOKEN_NAME, role: 'admin', token }, ...tokens];
}

/** Is there somebody who may use the admin API from elsewhere? `admin` is that part of the raw file. */
export function hasToken(admin: unknown): boolean {
  return at(admin, 'token') !== undefined || (listOf(at(admin, 'tokens')) ?? []).length > 0;
}

/** What one value of `admin` says about another. Tokens are never quoted. */
export function findAdminProblems(raw: unknown): Finding[] {
  const admin = at(raw, 'admin');
  return [...missingToken(admin), ...sharedTokens(admin)];
}

function missingToken(admin: unknown): Finding[] {
  const url = textAt(admin, 'url') ?? '';
  const parsed = attempt(() => parseAdminAddress(url));
  if (parsed === undefined || isLoopback(parsed.host) || hasToken(admin)) return [];
  const message = `${parsed.host} is not loopback, so the admin API needs a token: set admin.token or BREAKWATER_TOKEN, or use http://127.0.0.1:${parsed.port}`;
  return [{ path: ['admin', 'url'], message, code: 'ADMIN_TOKEN_REQUIRED' }];
}

/** Two with one token could not be told apart, nor two of one name in the log. */
function sharedTokens(admin: unknown): Finding[] {
  const first = textAt(admin, 'token');
  const names = new Map<string, string>(first === undefined ? [] : [[TOKEN_NAME, 'admin.token']]);
  const tokens = new Map<string, string>(first === undefined ? [] : [[first, 'admin.token']]);
  return (listOf(at(admin, 'tokens')) ?? []).flatMap((entry, index) => {
    const here = `admin.tokens.${index}`;
    return [
      { key: 'name', seen: names },
      { key: 'token', seen: tokens },
    ].flatMap(({ key, seen }) => {
      const value = textAt(entry, key);
      const other = value === undefined ? undefined : seen.get(value);
      if (value !== undefined && other === undefined) seen.set(value, here);
      if (other === undefined) return [];
      return [{ path: ['admin', 'tokens', index, key], message: `is that of ${other} too; choose another` }];
    });
  });
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
