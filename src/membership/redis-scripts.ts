import { clock, script } from './redis-script.ts';

/** Where devices are served. */
export const scripts = {
  /** Keys: 1 client. Arguments: none. Answers {node, proxy, epoch}, all nil where nobody remembers. */
  recallClient: script(`
return redis.call('HMGET', KEYS[1], 'node', 'proxy', 'epoch')`),

  /**
   * Keys: 1 epoch, 2 client. Arguments: 1 deadline, 2 channel of claims, 3 client id, 4 node, 5 proxy, 6 TTL (ms).
   * Others are not told where the proxy already had the device: then none of them can hold it. Answers the epoch.
   */
  claimClient: script(`${clock}
cleared(KEYS[1], 'string')
cleared(KEYS[2], 'hash')
local epoch = text(math.max((stamp(redis.call('GET', KEYS[1])) or 0) + 1, micros))
local holder = redis.call('HGET', KEYS[2], 'proxy')
redis.call('SET', KEYS[1], epoch)
redis.call('HSET', KEYS[2], 'node', ARGV[4], 'proxy', ARGV[5], 'epoch', epoch)
redis.call('PEXPIRE', KEYS[2], ARGV[6])
if holder ~= ARGV[5] then
  redis.call('PUBLISH', ARGV[2], cjson.encode({v = 1, clientId = ARGV[3], node = ARGV[4], proxy = ARGV[5], epoch = epoch}))
end
return tonumber(epoch)`),

  /** Keys: 1 client. Arguments: 1 deadline, 2 node, 3 proxy. */
  moveClient: script(`${clock}
if cleared(KEYS[1], 'hash') then return 1 end
if redis.call('HGET', KEYS[1], 'proxy') == ARGV[3] then redis.call('HSET', KEYS[1], 'node', ARGV[2]) end
return 1`),

  /**
   * Keys: clients. Arguments: 1 deadline, 2 proxy, 3 TTL (ms).
   * Answers {{index of the key, node, proxy, epoch, ...} of those that another proxy holds by now, {index of the key, ...}
   * of those that nobody holds, {index of the key, ...} of those that were no claims, and are gone}.
   */
  renewClients: script(`${clock}
local others, unknown, broken = {}, {}, {}
for i, key in ipairs(KEYS) do
  if cleared(key, 'hash') then broken[#broken + 1] = text(i) end
  local place = redis.call('HMGET', key, 'node', 'proxy', 'epoch')
  if place[2] == ARGV[2] then
    redis.call('PEXPIRE', key, ARGV[3])
  elseif place[1] and place[2] and place[3] then
    for _, each in ipairs({text(i), place[1], place[2], place[3]}) do others[#others + 1] = each end
  else
    unknown[#unknown + 1] = text(i)
  end
end
return {others, unknown, broken}`),
} as const;
