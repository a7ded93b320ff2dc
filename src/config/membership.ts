import { z } from 'zod';
import { address, choice, seconds, text } from './fields.ts';
import { parseRedisUrl, redisSchemes } from './redis-url.ts';

/** Characters of a secret; what signs must not be guessed. */
export const SECRET_MIN = 16;

const membership = z.strictObject({
  store: choice(['memory', 'redis'])
    .default('memory')
    .describe(
      'Where nodes and proxies are kept. `memory` is this proxy’s own: lost with it, shared with none. `redis` is shared by all proxies of the same `cluster`.',
    ),
  url: address(redisSchemes, [], parseRedisUrl).default('redis://127.0.0.1:6379').meta({
    kind: '`redis://host:port`',
    description:
      'For `redis`: `redis://[user:password@]host[:port][/database]`, `redis+sentinel://host:port,host:port/master`, `redis+cluster://host:port,host:port`; `rediss` for TLS, with `?ca=FILE&cert=FILE&key=FILE` as needed; `?sentinelUsername=…&sentinelPassword=…` for the sentinels.',
  }),
  secret: text(1024)
    .min(SECRET_MIN, {
      error: `must have at least ${SECRET_MIN} characters; openssl rand -base64 32 makes one`,
    })
    .optional()
    .meta({
      kind: 'text',
      description:
        'Signs all that proxies and agents write into Redis, and what is not signed with it is passed over: the same at all of them (agents take it from the environment variable `BREAKWATER_MEMBERSHIP_SECRET`). With it ticket keys of TLS are shared, and the cookies of `persistence` need no secret of their own. Without one whoever can write to Redis can speak as a proxy.',
    }),
  formerSecret: text(1024).optional().meta({
    kind: 'text',
    description:
      'A secret that is believed too, and signs nothing: for changing `secret` one proxy after the other. What it has signed is signed anew.',
  }),
  unsigned: choice(['refuse', 'accept'])
    .default('refuse')
    .describe(
      'With `secret`: whether what is not signed is believed. `accept` is for the time in which a cluster that runs begins to sign; it is signed anew.',
    ),
  heartbeat: seconds({
    min: 0.2,
    max: 30,
    default: 1,
    about:
      'Between two signs of life of this proxy; after three missed ones it is gone from the lists. One small write a second is no load.',
  }),
  recallTimeout: seconds({
    min: 0.005,
    max: 1,
    default: 0.5,
    about:
      'A connect waits at most so long to hear where the device was served last (`persistence`); then the strategy decides, and the device may miss its session. Redis nearby answers in a millisecond, but it, or this proxy, may stall for longer.',
  }),
});

export const membershipSchema = membership.check(({ value, issues }) => {
  if (value.secret !== undefined) return;
  for (const key of ['formerSecret', 'unsigned'] as const) {
    if (value[key] === undefined || value[key] === 'refuse') continue;
    issues.push({ code: 'custom', input: value, path: [key], message: 'is of no use without secret' });
  }
});

export function toSigning({ secret, formerSecret, unsigned }: z.output<typeof membershipSchema>) {
  return secret === undefined ? undefined : { secret, formerSecret, acceptsUnsigned: unsigned === 'accept' };
}
