import { z } from 'zod';

/**
 * What a process knows of the membership in Redis, as it hands it to the next: records as Redis keeps them, by id. The next one reads them as if
 * they came from Redis, so that a Redis which is away takes nothing from it, least of all bans.
 */

const text = z.string().max(100_000);
const records = z.array(z.tuple([text, text])).max(100_000);

export const redisState = z.object({
  /** 0: the process has never heard of Redis. */
  version: z.int().min(0),
  ...{ nodes: records, decisions: records, leases: records, bans: records },
});
export type RedisState = z.output<typeof redisState>;
