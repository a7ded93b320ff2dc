import { z } from 'zod';
import type { CookieOptions } from '../policy/cookie-affinity/cookie.ts';
import { deriveMarkKey } from '../policy/cookie-affinity/node-mark.ts';
import { isCookieName } from '../protocol/http/cookies.ts';
import { choice, seconds, text } from './fields.ts';

/** Session stickiness of a pool. */
export type PersistenceConfig =
  | { readonly by: 'none' }
  /** `ttlMs`: how long a device's node is remembered after it left. */
  | { readonly by: 'client-id'; readonly ttlMs: number }
  | CookieConfig;

interface CookieConfig extends Omit<CookieOptions, 'key'> {
  readonly by: 'cookie';
  /** Of `deriveMarkKey`; undefined: the cluster has a secret of its own for it. */
  readonly key: string | undefined;
}

const DEFAULT_NAME = 'breakwater';
const cookieKeys = ['mode', 'name', 'expires', 'secret'] as const;

const persistence = z.strictObject({
  by: choice(['none', 'client-id', 'cookie'])
    .default('none')
    .describe(
      'Session stickiness. `client-id`: the device goes to the node that served it last while that node takes devices, at any proxy if membership is in Redis; one that brings no client id is not remembered. `client-id-hash` needs none: it is sticky by itself. `cookie`, for `http`, `https`, `ws` and `wss`: the node that the request’s cookie names; one that is gone, unhealthy or draining is replaced.',
    ),
  ttl: seconds({
    min: 1,
    max: 2_592_000,
    default: 3600,
    about:
      'For `client-id`: so long after the device has left its node is remembered. Sessions commonly expire within an hour.',
  }),
  mode: choice(['insert', 'rewrite'])
    .optional()
    .describe(
      'For `cookie`. `insert`, the default, sets a cookie of ours, which nodes never see. `rewrite` puts the node’s mark before the value of a cookie that the nodes set themselves, and takes it off on the way in.',
    ),
  name: text(128)
    .refine(isCookieName, { error: 'must be a cookie name: letters, digits and - _ . ! # $ % & * + ^ | ~' })
    .optional()
    .meta({
      kind: 'cookie name',
      description: `For \`cookie\`. \`insert\`: \`${DEFAULT_NAME}\` without one. \`rewrite\`: the nodes’ own cookie, such as \`JSESSIONID\`.`,
    }),
  expires: z
    .int({ error: 'must be a whole number of seconds' })
    .min(1, { error: 'must be at least 1 (seconds); leave it out for a session cookie' })
    .max(31_536_000, { error: 'must be at most 31536000 (seconds), a year' })
    .optional()
    .meta({
      kind: '1-31536000 seconds',
      description:
        'For `cookie` with `insert`: so long a browser keeps it after its last answer. Without it, until the browser is closed.',
    }),
  secret: text(1024).optional().meta({
    kind: 'text',
    description:
      'For `cookie`: signs and hides the node in it; the same at every proxy of the cluster. Without one it is `membership.secret`, or else one that the first proxy of the cluster makes and keeps in the store; with `store: memory` that one ends with the proxy, and its cookies with it.',
  }),
});

export const persistenceSchema = persistence.check(({ value, issues }) => {
  const complain = (key: string, message: string) =>
    issues.push({ code: 'custom', input: value, path: [key], message });
  if (value.by !== 'cookie') {
    for (const key of cookieKeys) {
      if (value[key] !== undefined) complain(key, `is of use with by: cookie only, not with by: ${value.by}`);
    }
    return;
  }
  if (value.mode !== 'rewrite') return;
  if (value.name === undefined)
    complain('name', 'is required by mode: rewrite: the cookie that the nodes set');
  if (value.expires !== undefined)
    complain('expires', 'is of use with mode: insert; nodes choose it themselves');
});

export function toPersistence(
  { by, ttl, mode = 'insert', name = DEFAULT_NAME, expires, secret }: z.output<typeof persistenceSchema>,
  cluster: string,
  pool: string,
): PersistenceConfig {
  if (by === 'none') return { by };
  if (by === 'client-id') return { by, ttlMs: Math.round(ttl * 1000) };
  const key = secret === undefined ? undefined : deriveMarkKey(secret, cluster, pool);
  return { by, mode, name, maxAgeSeconds: expires, key };
}
