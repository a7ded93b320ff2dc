import { createHash } from 'node:crypto';

/**
 * What must be atomic runs as a script inside Redis, and by its clock. Requires Redis 6 or later.
 *
 * Versions are hybrid clocks: the server's microseconds, but always more than the one before. Epochs of claims are too; proxies
 * choose them, because they sign them. They fit a double until the year 2255, and still grow when Redis comes back empty.
 */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** Clocks are set back by less: what is further ahead was not written by a clock. A year, in microseconds. */
const AHEAD_MAX_MICROS = 31_536_000_000_000;
/**
 * Keys: any. Arguments: 1 deadline (ms of the server's clock, 0 for none).
 * What waited in a stopped Redis is not carried out once its sender has given it up: late writers lose.
 */
export const clock = `
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local deadline = tonumber(ARGV[1])
if deadline > 0 and now > deadline then return redis.error_reply('LATE its sender has given the command up') end
local function text(number) return string.format('%.0f', number) end
-- Milliseconds, at most so many; nil for whatever else stands there.
local function ms(given, most)
  if not given or #given > 15 or not string.match(given, '^%d+$') then return nil end
  local number = tonumber(given)
  return number <= most and number or nil
end
-- A version or epoch (microseconds); nil for whatever else stands there, and for one that no clock has given yet.
local function stamp(given)
  if not given or #given > 16 or not string.match(given, '^%d+$') then return nil end
  local number = tonumber(given)
  return number <= micros + ${AHEAD_MAX_MICROS} and number or nil
end
-- Takes away what is no such value; answers whether it did. Nobody could use it, or write there.
local function cleared(key, kind)
  local found = redis.call('TYPE', key).ok
  if found == kind or found == 'none' then return false end
  redis.call('DEL', key)
  return true
end
`;

export function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}
