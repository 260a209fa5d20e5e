-- A lease with a fencing token. KEYS: lease, fence. ARGV: command, holder, milliseconds, fence.
-- Answer: {fence or 0, owner}. A fence is never given twice, not even by a Redis that was emptied: it follows the clock.

local lease, fence_key = KEYS[1], KEYS[2]
local command, holder, milliseconds, fence = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local owner = redis.call('GET', lease)

if command == 'take' then
  if owner then return {0, owner} end
  local clock = redis.call('TIME')
  local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
  local given = string.format('%.0f', math.max(now, tonumber(redis.call('GET', fence_key) or '0') + 1))
  redis.call('SET', fence_key, given)
  redis.call('SET', lease, holder .. '|' .. given, 'PX', milliseconds)
  return {tonumber(given), holder}
end

local mine = holder .. '|' .. fence
if command == 'renew' then
  if owner == mine then
    redis.call('PEXPIRE', lease, milliseconds)
    return {tonumber(fence), owner}
  end
  if not owner and redis.call('GET', fence_key) == fence then
    -- It ran out, and nobody has had it since.
    redis.call('SET', lease, mine, 'PX', milliseconds)
    return {tonumber(fence), mine}
  end
elseif command == 'give' and owner == mine then
  redis.call('DEL', lease)
elseif command == 'save' then
  -- KEYS[3], ARGV[5]: what only the holder may write.
  if owner ~= mine then return {0, owner or ''} end
  redis.call('SET', KEYS[3], ARGV[5])
  return {tonumber(fence), owner}
end
return {0, owner or ''}
