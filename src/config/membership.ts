import { z } from 'zod';
import { address, choice, seconds } from './fields.ts';
import { parseRedisUrl, redisSchemes } from './redis-url.ts';

export const membershipSchema = z.strictObject({
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
    default: 0.05,
    about:
      'A connect waits at most so long to hear where the device was served last (`persistence`); then the strategy decides. Redis nearby answers in a millisecond.',
  }),
});
