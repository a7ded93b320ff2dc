import { BANS_MAX } from '../../policy/admission/bans.ts';
import { clock, script } from './redis-script.ts';

/** Longest lease, and longest time until a node without one is forgotten, in ms; those that can be configured are shorter. */
const LEASE_MAX_MS = 3_600_000;
const FORGET_MAX_MS = 2_592_000_000;
/** Records of one key that are told, and the largest; a routing table holds a quarter of it, and a record has 1 KB. */
const RECORDS_MAX = 4096;
const RECORD_MAX_BYTES = 65_536;
/** Records that cannot be used and are named in one answer; the others are counted. */
const NAMED_MAX = 64;

/** Versions that are kept to tell what a proxy knows from what Redis lost; more than all proxies together may lag. */
const HISTORY_LENGTH = 1_000;

/**
 * Keys: 1 meta, 2 nodes, 3 decisions, 4 leases, 5 proxies, 6 history, 7 bans. Arguments: 1 deadline, 2 channel of changes.
 * A version that is neither in the history nor covered by `base` was lost by Redis: it came back empty, from a backup,
 * or as a replica that lacked the last writes.
 */
const keyNames = `
local META, NODES, DECISIONS, LEASES, PROXIES, HISTORY, BANS = unpack(KEYS)
`;

/** What is done before anything else is read: a key of another type would make every command fail. */
const heal = `
local skipped, skipped_count = {}, 0
local function skip(key, field, reason)
  skipped_count = skipped_count + 1
  if #skipped >= 3 * ${NAMED_MAX} then return end
  for _, each in ipairs({key, string.sub(field, 1, 256), reason}) do skipped[#skipped + 1] = each end
end
local names = {'meta', 'nodes', 'decisions', 'leases', 'proxies', 'history', 'bans'}
for i, name in ipairs(names) do
  if cleared(KEYS[i], name == 'history' and 'zset' or 'hash') then
    skip(name, '', 'type')
    if name ~= 'proxies' then redis.call('DEL', META, HISTORY) end -- it was lost: who knows it gives it back
  end
end
`;

const versions = `
local function stored(field) return stamp(redis.call('HGET', META, field)) or 0 end
local function remember(version)
  redis.call('ZADD', HISTORY, version, version)
  if redis.call('ZCARD', HISTORY) > ${HISTORY_LENGTH} then
    local oldest = stamp(redis.call('ZPOPMIN', HISTORY)[1]) or 0
    if oldest > stored('base') then redis.call('HSET', META, 'base', text(oldest)) end
  end
end
local function change()
  local version = text(math.max(stored('version') + 1, micros))
  redis.call('HSET', META, 'version', version)
  remember(version)
  redis.call('PUBLISH', ARGV[2], version)
  return version
end
local function change_bans()
  local version = change()
  redis.call('HSET', META, 'bans', version)
  return version
end
if stored('version') == 0 then change() end
local function is_lost(version)
  return version > stored('base') and not redis.call('ZSCORE', HISTORY, text(version))
end
local function version_of(record) return stamp(string.match(record, '^(%d+) ')) end
local function json_of(record) return string.match(record, '^%d+ (.*)$') end
local function lease_of(record)
  local ends, lasts, forget, late = string.match(record, '^(%d+) (%d+) (%d+) ([01])$')
  ends, lasts, forget = ms(ends, 1e14), ms(lasts, ${LEASE_MAX_MS}), ms(forget, ${FORGET_MAX_MS})
  if ends and lasts and forget then return ends, lasts, forget, late end
end
local function beat_of(record)
  local ends, lasts, rest, version = string.match(record, '^(%d+) (%d+) (%d+ (%d+) .*)$')
  ends, lasts, version = ms(ends, 1e14), ms(lasts, ${LEASE_MAX_MS}), ms(version, now + 86400000)
  if ends and lasts and version and #record <= ${RECORD_MAX_BYTES} then return ends, lasts, rest, version end
end
`;

const membership = clock + keyNames + versions;
const healed = clock + keyNames + heal + versions;

export const membershipScripts = {
  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 longest pause without anybody's sync (ms),
   * 4 own inbox, 5 pulse, 6 version that the sender knows (0: none).
   * Ends leases, and sends the pulse over the inbox. Answers {now, 1 if Redis lost that version, proxies}, and where it
   * did not but has another: version, nodes, decisions, leases; and bans, of which there may be many, if one of them changed.
   * A time in which nobody synced, because Redis was away or stopped, counts against no lease: nobody could renew one.
   */
  sync: script(`${healed}
local swept = ms(redis.call('HGET', META, 'sweptAt'), 1e14) or 0
local gap = 0
if swept > 0 and now - swept > tonumber(ARGV[3]) then gap = now - swept end
redis.call('HSET', META, 'sweptAt', text(now))
local changed = false
local leases, good_leases = redis.call('HGETALL', LEASES), {}
for i = 1, #leases, 2 do
  local ends, lasts, forget, late = lease_of(leases[i + 1])
  if not ends then
    skip('leases', leases[i], 'form')
  else
    local extended = math.min(ends + gap, now + lasts)
    local flag = extended <= now and '1' or '0'
    if extended + forget <= now then
      redis.call('HDEL', NODES, leases[i])
      redis.call('HDEL', LEASES, leases[i])
      changed = true
    else
      local lease = table.concat({text(extended), text(lasts), text(forget), flag}, ' ')
      if lease ~= leases[i + 1] then redis.call('HSET', LEASES, leases[i], lease) end
      changed = changed or flag ~= late
      good_leases[#good_leases + 1] = leases[i]
      good_leases[#good_leases + 1] = lease
    end
  end
end
if changed then change() end
local living = {}
local proxies = redis.call('HGETALL', PROXIES)
for i = 1, #proxies, 2 do
  local ends, lasts, rest = beat_of(proxies[i + 1])
  if not ends then
    skip('proxies', proxies[i], 'form')
  else
    local extended = math.min(ends + gap, now + lasts)
    if extended <= now then
      redis.call('HDEL', PROXIES, proxies[i])
    else
      local beat = table.concat({text(extended), text(lasts), rest}, ' ')
      if extended ~= ends then redis.call('HSET', PROXIES, proxies[i], beat) end
      if #living < 2 * ${RECORDS_MAX} then
        living[#living + 1] = proxies[i]
        living[#living + 1] = beat
      else
        skip('proxies', proxies[i], 'size')
      end
    end
  end
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
local known = tonumber(ARGV[6])
if known > 0 and is_lost(known) then return {now, 1, living, skipped, skipped_count} end
local version = stored('version')
if version == known then return {now, 0, living, skipped, skipped_count} end
local function usable(name, key, most)
  local all, good = redis.call('HGETALL', key), {}
  for i = 1, #all, 2 do
    if not version_of(all[i + 1]) then
      skip(name, all[i], 'form')
    elseif #all[i + 1] > ${RECORD_MAX_BYTES} or #good >= 2 * most then
      skip(name, all[i], 'size')
    else
      good[#good + 1] = all[i]
      good[#good + 1] = all[i + 1]
    end
  end
  return good
end
local nodes = usable('nodes', NODES, ${RECORDS_MAX})
local decisions = usable('decisions', DECISIONS, ${RECORDS_MAX})
local bans = (known == 0 or stored('bans') > known) and usable('bans', BANS, ${BANS_MAX}) or nil
return {now, 0, living, skipped, skipped_count, version, nodes, decisions, good_leases, bans}`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 version that the sender knows,
   * 4 JSON {nodes, decisions, bans, leases, proxies}: all records of that version as they were stored.
   * Lays what a proxy knows over a Redis that lost it. Of each record the newer version stays; what the sender knows to
   * be removed goes. What Redis was told meanwhile is newer by its clock, and stays. Leases begin anew. The sender has
   * checked what it gives.
   */
  restore: script(`${membership}
local known = tonumber(ARGV[3])
if not is_lost(known) then return 0 end
local given = cjson.decode(ARGV[4])
local function lay(key, records)
  local present = redis.call('HGETALL', key)
  for i = 1, #present, 2 do
    local version = version_of(present[i + 1])
    if version and version <= known and not records[present[i]] then redis.call('HDEL', key, present[i]) end
  end
  for id, record in pairs(records) do
    local there = redis.call('HGET', key, id)
    if not there or (version_of(there) or 0) < version_of(record) then redis.call('HSET', key, id, record) end
  end
end
lay(NODES, given.nodes)
lay(DECISIONS, given.decisions)
lay(BANS, given.bans)
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
change_bans()
return 1`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id, 4 its text, 5 record that the sender could
   * not use, and that gives way (empty for none). Answers 0 if the node exists.
   */
  addNode: script(`${membership}
local there = redis.call('HGET', NODES, ARGV[3])
if there and there ~= ARGV[5] then return 0 end
redis.call('HSET', NODES, ARGV[3], change() .. ' ' .. ARGV[4])
redis.call('HDEL', DECISIONS, ARGV[3])
return 1`),

  /** Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id. */
  removeNode: script(`${membership}
local removed = redis.call('HDEL', NODES, ARGV[3]) + redis.call('HDEL', DECISIONS, ARGV[3])
redis.call('HDEL', LEASES, ARGV[3])
if removed > 0 then change() end
return removed`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id, 4 record of what was decided as the sender
   * knows it (empty for none), 5 text in its place (empty for none). Where another record is there, nothing is done, and
   * the answer is that record; else 1.
   */
  decide: script(`${membership}
local there = redis.call('HGET', DECISIONS, ARGV[3]) or ''
if there ~= ARGV[4] then return there end
if ARGV[5] == '' then
  if redis.call('HDEL', DECISIONS, ARGV[3]) == 1 then change() end
else
  redis.call('HSET', DECISIONS, ARGV[3], change() .. ' ' .. ARGV[5])
end
return 1`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 `nodes`, `decisions` or `bans`, 4 id, 5 record as the sender
   * knows it, 6 text that says the same. Answers whether it was still there.
   */
  rewrite: script(`${membership}
local key = ({nodes = NODES, decisions = DECISIONS, bans = BANS})[ARGV[3]]
if redis.call('HGET', key, ARGV[4]) ~= ARGV[5] then return 0 end
local version = key == BANS and change_bans() or change()
redis.call('HSET', key, ARGV[4], version .. ' ' .. ARGV[6])
return 1`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 ban id, 4 its text, 5 JSON {id: record} of bans that are
   * over, and that give way. Answers 0 where there are too many.
   */
  ban: script(`${membership}
for id, record in pairs(cjson.decode(ARGV[5])) do
  if redis.call('HGET', BANS, id) == record then redis.call('HDEL', BANS, id) end
end
if redis.call('HEXISTS', BANS, ARGV[3]) == 0 and redis.call('HLEN', BANS) >= ${BANS_MAX} then return 0 end
redis.call('HSET', BANS, ARGV[3], change_bans() .. ' ' .. ARGV[4])
return 1`),

  /** Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 ban id. Answers whether there was such a ban. */
  unban: script(`${membership}
if redis.call('HDEL', BANS, ARGV[3]) == 0 then return 0 end
change_bans()
return 1`),

  /** As `decide`, and the node leaves: what was decided is changed only if it was there. */
  leaveNode: script(`${membership}
local there = redis.call('HGET', DECISIONS, ARGV[3]) or ''
if there ~= ARGV[4] then return there end
redis.call('HDEL', LEASES, ARGV[3])
if redis.call('HDEL', NODES, ARGV[3]) == 0 then return 1 end
local version = change()
if ARGV[5] == '' then
  redis.call('HDEL', DECISIONS, ARGV[3])
else
  redis.call('HSET', DECISIONS, ARGV[3], version .. ' ' .. ARGV[5])
end
return 1`),

  /**
   * Keys: membership. Arguments: 1 deadline, 2 channel of changes, 3 node id, 4 its JSON, 5 lease (ms),
   * 6 forgotten after (ms), 7 record that the sender could not use, and that gives way (empty for none). A node without
   * a lease was added by a person, and stays as that person added it. Answers 1 if anything but the lease changed.
   */
  beatNode: script(`${membership}
local there = redis.call('HGET', NODES, ARGV[3])
local lease = redis.call('HGET', LEASES, ARGV[3])
if there and not lease and there ~= ARGV[7] then return 0 end
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
local _, _, _, newest = beat_of(there or '')
if newest and newest > tonumber(ARGV[5]) then return 0 end
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
  local ends = beat_of(proxies[i + 1])
  if ends and ends > now then living[#living + 1] = proxies[i] end
end
return living`),
} as const;
