import { clock, script } from './redis-script.ts';

/** Where devices are served. */
export const scripts = {
  /** Keys: 1 client. Arguments: none. Answers {node, proxy, who, epoch}, all nil where nobody remembers. */
  recallClient: script(`
return redis.call('HMGET', KEYS[1], 'node', 'proxy', 'who', 'epoch')`),

  /**
   * Keys: 1 epoch, 2 client. Arguments: 1 deadline, 2 channel of claims, 3 pool, 4 client id, 5 node, 6 proxy, 7 who,
   * 8 TTL (ms), 9 the epoch of a claim that was lost, or 0 for a new one.
   * Others are not told where the proxy already had this device: they have been. Answers the epoch.
   */
  claimClient: script(`${clock}
cleared(KEYS[1], 'string')
cleared(KEYS[2], 'hash')
local held = redis.call('HMGET', KEYS[2], 'proxy', 'who', 'epoch')
local last = stamp(redis.call('GET', KEYS[1])) or 0
local epoch = tonumber(ARGV[9])
if epoch > 0 and (stamp(held[3]) or 0) > epoch then return epoch end
if epoch == 0 then epoch = math.max(last + 1, micros) end
redis.call('SET', KEYS[1], text(math.max(last, epoch)))
redis.call('HSET', KEYS[2], 'node', ARGV[5], 'proxy', ARGV[6], 'who', ARGV[7], 'epoch', text(epoch))
redis.call('PEXPIRE', KEYS[2], ARGV[8])
if held[1] ~= ARGV[6] or held[2] ~= ARGV[7] then
  redis.call('PUBLISH', ARGV[2], cjson.encode({v = 1, pool = ARGV[3], clientId = ARGV[4], node = ARGV[5],
    proxy = ARGV[6], who = ARGV[7], epoch = text(epoch)}))
end
return epoch`),

  /** Keys: 1 client. Arguments: 1 deadline, 2 node, 3 proxy. */
  moveClient: script(`${clock}
if cleared(KEYS[1], 'hash') then return 1 end
if redis.call('HGET', KEYS[1], 'proxy') == ARGV[3] then redis.call('HSET', KEYS[1], 'node', ARGV[2]) end
return 1`),

  /**
   * Keys: clients. Arguments: 1 deadline, 2 proxy, 3 TTL (ms).
   * Answers {{index of the key, node, proxy, who, epoch, ...} of those that another proxy holds by now, {index of the
   * key, ...} of those that nobody holds, {index of the key, ...} of those that were no claims, and are gone}.
   */
  renewClients: script(`${clock}
local others, unknown, broken = {}, {}, {}
for i, key in ipairs(KEYS) do
  if cleared(key, 'hash') then broken[#broken + 1] = text(i) end
  local place = redis.call('HMGET', key, 'node', 'proxy', 'who', 'epoch')
  if place[2] == ARGV[2] then
    redis.call('PEXPIRE', key, ARGV[3])
  elseif place[1] and place[2] and place[3] and place[4] then
    for _, each in ipairs({text(i), unpack(place)}) do others[#others + 1] = each end
  else
    unknown[#unknown + 1] = text(i)
  end
end
return {others, unknown, broken}`),
} as const;
