import { createHash } from 'node:crypto';

/**
 * What must be atomic runs as a script inside Redis, and by its clock. Requires Redis 6 or later.
 *
 * Versions and epochs are hybrid clocks: the server's microseconds, but always more than the one before. They fit a
 * double until the year 2255, and still grow when Redis comes back empty.
 */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/**
 * Keys: any. Arguments: 1 deadline (ms of the server's clock, 0 for none).
 * What waited in a stopped Redis is not carried out once its sender has given it up: late writers lose.
 */
const clock = `
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local deadline = tonumber(ARGV[1])
if deadline > 0 and now > deadline then return redis.error_reply('LATE its sender has given the command up') end
local function text(number) return string.format('%.0f', number) end
`;

/** Versions that are kept to tell what a proxy knows from what Redis lost; more than all proxies together may lag. */
const HISTORY_LENGTH = 1_000;

/**
 * Keys: 1 meta, 2 nodes, 3 decisions, 4 leases, 5 proxies, 6 history. Arguments: 1 deadline, 2 channel of changes.
 * A version that is neither in the history nor covered by `base` was lost by Redis: it came back empty, from a backup,
 * or as a replica that lacked the last writes.
 */
const membership = `${clock}
local META, NODES, DECISIONS, LEASES, PROXIES, HISTORY = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local function stored(field) return tonumber(redis.call('HGET', META, field) or '0') end
local function remember(version)
  redis.call('ZADD', HISTORY, version, version)
  if redis.call('ZCARD', HISTORY) > ${HISTORY_LENGTH} then
    local oldest = redis.call('ZPOPMIN', HISTORY)[1]
    if tonumber(oldest) > stored('base') then redis.call('HSET', META, 'base', oldest) end
  end
end
local function change()
  local version = text(math.max(stored('version') + 1, micros))
  redis.call('HSET', META, 'version', version)
  remember(version)
  redis.call('PUBLISH', ARGV[2], version)
  return version
end
if stored('version') == 0 then change() end
local function is_lost(version)
  return version > stored('base') and not redis.call('ZSCORE', HISTORY, text(version))
end
local function version_of(record) return tonumber(string.match(record, '^%d+')) end
local function json_of(record) return string.match(record, '^%d+ (.*)$') end
`;

export const scripts = {
  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 longest pause without anybody's sync (ms),
   * 4 own inbox, 5 pulse, 6 version that the sender knows (0: none).
   * Ends leases, and sends the pulse over the inbox. Answers {now, 1 if Redis lost that version, proxies}, and where it
   * did not but has another: version, nodes, decisions, leases.
   * A time in which nobody synced, because Redis was away or stopped, counts against no lease: nobody could renew one.
   */
  sync: script(`${membership}
local swept = stored('sweptAt')
local gap = 0
if swept > 0 and now - swept > tonumber(ARGV[3]) then gap = now - swept end
redis.call('HSET', META, 'sweptAt', text(now))
local changed = false
local leases = redis.call('HGETALL', LEASES)
for i = 1, #leases, 2 do
  local ends, lasts, forget, late = string.match(leases[i + 1], '^(%d+) (%d+) (%d+) ([01])$')
  local extended = math.min(ends + gap, now + lasts)
  local flag = extended <= now and '1' or '0'
  if extended + forget <= now then
    redis.call('HDEL', NODES, leases[i])
    redis.call('HDEL', LEASES, leases[i])
    changed = true
  elseif flag ~= late or extended ~= tonumber(ends) then
    redis.call('HSET', LEASES, leases[i], table.concat({text(extended), lasts, forget, flag}, ' '))
    changed = changed or flag ~= late
  end
end
if changed then change() end
local living = {}
local proxies = redis.call('HGETALL', PROXIES)
for i = 1, #proxies, 2 do
  local ends, lasts, rest = string.match(proxies[i + 1], '^(%d+) (%d+) (.*)$')
  local extended = math.min(ends + gap, now + lasts)
  if extended <= now then
    redis.call('HDEL', PROXIES, proxies[i])
  else
    if extended ~= tonumber(ends) then
      redis.call('HSET', PROXIES, proxies[i], table.concat({text(extended), lasts, rest}, ' '))
    end
    living[#living + 1] = proxies[i]
    living[#living + 1] = table.concat({text(extended), lasts, rest}, ' ')
  end
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
local known = tonumber(ARGV[6])
if known > 0 and is_lost(known) then return {now, 1, living} end
local version = stored('version')
if version == known then return {now, 0, living} end
return {now, 0, living, version,
  redis.call('HGETALL', NODES), redis.call('HGETALL', DECISIONS), redis.call('HGETALL', LEASES)}`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 version that the sender knows,
   * 4 JSON {nodes, decisions, leases, proxies}: all records of that version as they were stored.
   * Lays what a proxy knows over a Redis that lost it. Of each record the newer version stays; what the sender knows to
   * be removed goes. What Redis was told meanwhile is newer by its clock, and stays. Leases begin anew.
   */
  restore: script(`${membership}
local known = tonumber(ARGV[3])
if not is_lost(known) then return 0 end
local given = cjson.decode(ARGV[4])
local function lay(key, records)
  local present = redis.call('HGETALL', key)
  for i = 1, #present, 2 do
    if not records[present[i]] and version_of(present[i + 1]) <= known then redis.call('HDEL', key, present[i]) end
  end
  for id, record in pairs(records) do
    local there = redis.call('HGET', key, id)
    if not there or version_of(there) < version_of(record) then redis.call('HSET', key, id, record) end
  end
end
lay(NODES, given.nodes)
lay(DECISIONS, given.decisions)
for _, id in ipairs(redis.call('HKEYS', LEASES)) do
  if redis.call('HEXISTS', NODES, id) == 0 then redis.call('HDEL', LEASES, id) end
end
for id, lease in pairs(given.leases) do
  local lasts, forget, late = string.match(lease, '^%d+ (%d+) (%d+) ([01])$')
  if redis.call('HEXISTS', NODES, id) == 1 then
    local ends = late == '1' and now or now + lasts
    redis.call('HSETNX', LEASES, id, table.concat({text(ends), lasts, forget, late}, ' '))
  end
end
for id, proxy in pairs(given.proxies) do
  local lasts, rest = string.match(proxy, '^%d+ (%d+) (.*)$')
  redis.call('HSETNX', PROXIES, id, table.concat({text(now + lasts), lasts, rest}, ' '))
end
redis.call('HSET', META, 'base', text(known), 'version', text(math.max(stored('version'), known)))
change()
return 1`),

  /** Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id, 4 its JSON. Answers 0 if it exists. */
  addNode: script(`${membership}
if redis.call('HEXISTS', NODES, ARGV[3]) == 1 then return 0 end
redis.call('HSET', NODES, ARGV[3], change() .. ' ' .. ARGV[4])
redis.call('HDEL', DECISIONS, ARGV[3])
return 1`),

  /** Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id. */
  removeNode: script(`${membership}
local removed = redis.call('HDEL', NODES, ARGV[3]) + redis.call('HDEL', DECISIONS, ARGV[3])
redis.call('HDEL', LEASES, ARGV[3])
if removed > 0 then change() end
return removed`),

  /** Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id. Of what was decided, that it drains is over. */
  leaveNode: script(`${membership}
redis.call('HDEL', LEASES, ARGV[3])
if redis.call('HDEL', NODES, ARGV[3]) == 0 then return 0 end
local version = change()
local there = redis.call('HGET', DECISIONS, ARGV[3])
local decision = there and cjson.decode(json_of(there)) or {}
if decision.state ~= 'draining' then return 1 end
decision.state = nil
if next(decision) then
  redis.call('HSET', DECISIONS, ARGV[3], version .. ' ' .. cjson.encode(decision))
else
  redis.call('HDEL', DECISIONS, ARGV[3])
end
return 1`),

  /** Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id, 4 JSON of the decided fields. */
  decide: script(`${membership}
local there = redis.call('HGET', DECISIONS, ARGV[3])
local decision = there and cjson.decode(json_of(there)) or {}
for field, value in pairs(cjson.decode(ARGV[4])) do decision[field] = value end
redis.call('HSET', DECISIONS, ARGV[3], change() .. ' ' .. cjson.encode(decision))
return 1`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id, 4 its JSON, 5 lease (ms),
   * 6 forgotten after (ms). A node without a lease was added by a person, and stays as that person added it.
   * Answers 1 if anything but the lease changed.
   */
  beatNode: script(`${membership}
local there = redis.call('HGET', NODES, ARGV[3])
local lease = redis.call('HGET', LEASES, ARGV[3])
if there and not lease then return 0 end
local changed = not there or json_of(there) ~= ARGV[4]
if changed then redis.call('HSET', NODES, ARGV[3], change() .. ' ' .. ARGV[4]) end
local was_late = lease and string.sub(lease, -1) == '1'
redis.call('HSET', LEASES, ARGV[3], table.concat({text(now + ARGV[5]), ARGV[5], ARGV[6], '0'}, ' '))
if was_late and not changed then change() end
return (changed or was_late) and 1 or 0`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 proxy id, 4 lease (ms), 5 version of the beat,
   * 6 its JSON. A new proxy is told at once (answers 1), the beats of known ones are seen at the next sync.
   */
  beatProxy: script(`${membership}
local there = redis.call('HGET', PROXIES, ARGV[3])
if there and tonumber(string.match(there, '^%d+ %d+ %d+ (%d+)')) > tonumber(ARGV[5]) then return 0 end
redis.call('HSET', PROXIES, ARGV[3], table.concat({text(now + ARGV[4]), ARGV[4], text(now), ARGV[5], ARGV[6]}, ' '))
if there then return 0 end
redis.call('PUBLISH', ARGV[2], 'proxies')
return 1`),

  /** Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 proxy id. */
  leaveProxy: script(`${membership}
if redis.call('HDEL', PROXIES, ARGV[3]) == 1 then redis.call('PUBLISH', ARGV[2], 'proxies') end
return 1`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 channel of questions, 4 the question.
   * Answers the ids of the proxies that live.
   */
  ask: script(`${membership}
redis.call('PUBLISH', ARGV[3], ARGV[4])
local living = {}
local proxies = redis.call('HGETALL', PROXIES)
for i = 1, #proxies, 2 do
  if tonumber(string.match(proxies[i + 1], '^%d+')) > now then living[#living + 1] = proxies[i] end
end
return living`),

  /** Keys: 1 client. Arguments: none. Answers {node, proxy, epoch}, all nil where nobody remembers. */
  recallClient: script(`
return redis.call('HMGET', KEYS[1], 'node', 'proxy', 'epoch')`),

  /**
   * Keys: 1 epoch, 2 client. Arguments: 1 deadline, 2 channel of claims, 3 client id, 4 node, 5 proxy, 6 TTL (ms).
   * Others are not told where the proxy already had the device: then none of them can hold it. Answers the epoch.
   */
  claimClient: script(`${clock}
local epoch = text(math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, micros))
local holder = redis.call('HGET', KEYS[2], 'proxy')
redis.call('SET', KEYS[1], epoch)
redis.call('HSET', KEYS[2], 'node', ARGV[4], 'proxy', ARGV[5], 'epoch', epoch)
redis.call('PEXPIRE', KEYS[2], ARGV[6])
if holder ~= ARGV[5] then
  redis.call('PUBLISH', ARGV[2], cjson.encode({clientId = ARGV[3], node = ARGV[4], proxy = ARGV[5], epoch = epoch}))
end
return tonumber(epoch)`),

  /** Keys: 1 client. Arguments: 1 deadline, 2 node, 3 proxy. */
  moveClient: script(`${clock}
if redis.call('HGET', KEYS[1], 'proxy') == ARGV[3] then redis.call('HSET', KEYS[1], 'node', ARGV[2]) end
return 1`),

  /**
   * Keys: clients. Arguments: 1 deadline, 2 proxy, 3 TTL (ms).
   * Answers {{index of the key, node, proxy, epoch, ...} of those that another proxy holds by now, {index of the key, ...}
   * of those that nobody holds}.
   */
  renewClients: script(`${clock}
local others, unknown = {}, {}
for i, key in ipairs(KEYS) do
  local place = redis.call('HMGET', key, 'node', 'proxy', 'epoch')
  if place[2] == ARGV[2] then
    redis.call('PEXPIRE', key, ARGV[3])
  elseif place[2] then
    for _, each in ipairs({text(i), place[1], place[2], place[3]}) do others[#others + 1] = each end
  else
    unknown[#unknown + 1] = text(i)
  end
end
return {others, unknown}`),
} as const;

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}
