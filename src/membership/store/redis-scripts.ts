import { clock, script } from './redis-script.ts';

/** Where devices are served, and what is remembered of sessions: both are texts that Redis does not look into. */
export const scripts = {
  /** Keys: 1 client. Arguments: none. Answers the text of its claim, nil where nobody remembers. */
  recallClient: script(`
return redis.call('HGET', KEYS[1], 'text')`),

  /**
   * Keys: 1 client. Arguments: 1 deadline, 2 channel of claims, 3 proxy, 4 who, 5 epoch, 6 text, 7 TTL (ms), 8 1 for a
   * claim that was lost and is as old as it was.
   * A claim must be newer than the one that is there, or one that was lost not older. Others are not told where the proxy
   * already had this device: they have been. Answers {1 if it is claimed, the epoch that is there}.
   */
  claimClient: script(`${clock}
cleared(KEYS[1], 'hash')
local held = redis.call('HMGET', KEYS[1], 'proxy', 'who', 'epoch')
local there, epoch = stamp(held[3]) or 0, tonumber(ARGV[5])
if there > epoch or (there == epoch and ARGV[8] ~= '1') then return {0, there} end
redis.call('HSET', KEYS[1], 'proxy', ARGV[3], 'who', ARGV[4], 'epoch', ARGV[5], 'text', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
if held[1] ~= ARGV[3] or held[2] ~= ARGV[4] then redis.call('PUBLISH', ARGV[2], ARGV[6]) end
return {1, epoch}`),

  /** Keys: 1 client. Arguments: 1 deadline, 2 epoch, 3 proxy, 4 text. Another claim is left alone. */
  moveClient: script(`${clock}
if cleared(KEYS[1], 'hash') then return 1 end
local held = redis.call('HMGET', KEYS[1], 'proxy', 'epoch')
if held[1] == ARGV[3] and held[2] == ARGV[2] then redis.call('HSET', KEYS[1], 'text', ARGV[4]) end
return 1`),

  /**
   * Keys: clients. Arguments: 1 deadline, 2 proxy, 3 TTL (ms).
   * Answers {{index of the key, text, ...} of those that another proxy holds by now, {index of the key, ...} of those that
   * nobody holds, {index of the key, ...} of those that were no claims, and are gone}.
   */
  renewClients: script(`${clock}
local others, unknown, broken = {}, {}, {}
for i, key in ipairs(KEYS) do
  if cleared(key, 'hash') then broken[#broken + 1] = text(i) end
  local held = redis.call('HMGET', key, 'proxy', 'text')
  if held[1] == ARGV[2] then
    redis.call('PEXPIRE', key, ARGV[3])
  elseif held[1] and held[2] then
    others[#others + 1] = text(i)
    others[#others + 1] = held[2]
  else
    unknown[#unknown + 1] = text(i)
  end
end
return {others, unknown, broken}`),

  /**
   * Keys: 1 session. Arguments: 1 deadline, 2 connection, 3 how (`TakeHow`), 4 TTL (ms), 5 the connection whose
   * place it has, or nothing. Answers the text of the session; 0 where nobody remembers it, 1 where another connection has it. One connection may wait at a time (`next`): of what it
   * changes meanwhile, a third one knows nothing. That one has the session then, and is answered 1 too, and 0 when it asks again.
   */
  takeSession: script(`${clock}
cleared(KEYS[1], 'hash')
local held = redis.call('HMGET', KEYS[1], 'connection', 'text', 'next')
if ARGV[5] == '' then
elseif held[3] and held[3] == ARGV[5] then
  held[3] = ARGV[2]
  redis.call('HSET', KEYS[1], 'next', ARGV[2])
elseif held[1] == ARGV[5] and not held[3] then
  held[1] = ARGV[2]
  redis.call('HSET', KEYS[1], 'connection', ARGV[2])
else
  redis.call('HDEL', KEYS[1], 'text', 'next')
  redis.call('HSET', KEYS[1], 'connection', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return ARGV[3] == 'first' and 1 or 0
end
if (ARGV[3] == 'again' or ARGV[3] == 'last') and held[3] ~= ARGV[2] then return 0 end
local is_next = not held[3] or held[3] == ARGV[2]
local waits = ARGV[3] == 'first' or ARGV[3] == 'again'
if waits and held[1] and not held[2] then
  if held[1] == ARGV[2] then return 0 end
  if is_next then
    redis.call('HSET', KEYS[1], 'next', ARGV[2])
    return 1
  end
end
redis.call('HDEL', KEYS[1], 'text', 'next')
redis.call('HSET', KEYS[1], 'connection', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if not is_next and waits then return 1 end
return is_next and held[2] or 0`),

  /**
   * Keys: 1 session. Arguments: 1 deadline, 2 connection, 3 text, 4 TTL (ms). Answers 1; 0 where another connection has
   * taken the session, and then nothing is remembered of it: nobody knows which of the two is right.
   */
  keepSession: script(`${clock}
cleared(KEYS[1], 'hash')
local connection = redis.call('HGET', KEYS[1], 'connection')
if connection and connection ~= ARGV[2] then
  redis.call('HDEL', KEYS[1], 'text')
  return 0
end
redis.call('HSET', KEYS[1], 'connection', ARGV[2], 'text', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`),
} as const;
