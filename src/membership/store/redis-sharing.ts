import type { Codec } from './codec.ts';
import type { RedisKeys } from './redis-keys.ts';
import { clock, type Script, script } from './redis-script.ts';

/**
 * Keys: 1 shared. Arguments: 1 deadline, 2 name, 3 text that is there as the sender knows it (empty for none), 4 text in
 * its place. Answers the text that is there then.
 */
const share = script(`${clock}
cleared(KEYS[1], 'hash')
local there = redis.call('HGET', KEYS[1], ARGV[2])
if there and there ~= ARGV[3] then return there end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
return ARGV[4]`);

/** Texts that all proxies share, each under a name. */
export function createSharing(
  keys: RedisKeys,
  codec: Codec,
  run: (script: Script, keys: readonly string[], args: readonly string[]) => Promise<unknown>,
) {
  /** What was read last, as it is in Redis, by name. */
  const known = new Map<string, { readonly text: string; readonly value: string }>();

  async function put(name: string, next: string, instead: string): Promise<string | undefined> {
    const text = codec.write('shared', { value: next }, name);
    const there = String(await run(share, [keys.shared], [name, instead, text]));
    const value = there === text ? next : codec.read('shared', there, { key: 'shared', field: name })?.value;
    if (value !== undefined) known.set(name, { text: there, value });
    return value ?? (there === instead ? undefined : put(name, next, there));
  }

  return {
    /** What nobody can use gives way. */
    async share(name: string, next: string, before?: string): Promise<string> {
      const last = known.get(name);
      const instead = before !== undefined && last?.value === before ? last.text : '';
      return (await put(name, next, instead)) ?? next;
    },
  };
}
