-- The shared limits of one organisation in Redis: what `limit_record.py` decides for files, on Redis' own clock.
-- Times are milliseconds. Every part may be executed twice (a client repeats after a lost answer) and counts once.
-- KEYS: state (hash), ends, slots, queue, places (sorted sets); all of one hash slot.
-- ARGV[1]: JSON with holder, window, lease, limits; optional: reports, renew, stop_waiting, ask, peek.
-- Answer: {slot, wait, day limit, remaining, resets (each -1 for none), paused, exhausted, counted}

local state_key, ends, slots, queue, places = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local input = cjson.decode(ARGV[1])
local holder, window, lease, limits = input.holder, input.window, input.lease, input.limits
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or '?'
local DAY, UNKNOWN_RESET, GRACE, KEPT, STATE_DAYS = 86400000, 900000, 1000, 1000, 30
local LATE = 1000000000000

local fields = {'time', 'held', 'number', 'next', 'paused', 'most', 'limit', 'left', 'used', 'ends'}
local stored = redis.call('HMGET', state_key, 'run', unpack(fields))
local state = {}
for index, field in ipairs(fields) do state[field] = tonumber(stored[index + 1] or nil) end
local held, paused = state.held or 0, state.paused or 0
local number, used, next_start = state.number or 0, state.used or 0, state.next or 0

local function number_text(value) return string.format('%.3f', value) end
local function slot_name(slot) return holder .. ':' .. string.format('%d', slot) end

-- What was sent in the last window is not known: Redis is empty, an older copy of itself, or its clock was set back.
if stored[1] ~= run then held = now + window end
if state.time and now < state.time - 1000 then
  local back = state.time - now
  held = now + window
  paused, next_start = paused - back, 0
  if state.ends then state.ends = state.ends - back end
  redis.call('DEL', ends, queue, places)
  for _, name in ipairs(redis.call('ZRANGE', slots, 0, -1)) do
    redis.call('ZADD', slots, number_text(now + lease), name)
  end
end

-- Forget what is over. A lease that ran out ends its call.
local lapsed = redis.call('ZRANGEBYSCORE', slots, '-inf', now, 'WITHSCORES')
for index = 1, #lapsed, 2 do
  redis.call('ZADD', ends, lapsed[index + 1], lapsed[index])
  redis.call('ZREM', slots, lapsed[index])
end
redis.call('ZREMRANGEBYSCORE', ends, '-inf', number_text(now - window))
for _, name in ipairs(redis.call('ZRANGEBYSCORE', places, '-inf', now)) do
  redis.call('ZREM', places, name)
  redis.call('ZREM', queue, name)
end
local in_flight = redis.call('ZCARD', slots)
if state.ends and now >= state.ends then
  state.ends, state.left, used = nil, nil, in_flight
end

local rate = limits.rate
local interval = rate and window / rate

local function report(one)
  if one.left then
    local day_ends = one.reset and now + math.min(one.reset, DAY) or state.ends or now + UNKNOWN_RESET
    local same_day = state.ends and math.abs(day_ends - state.ends) < 60000
    state.left = same_day and state.left and math.min(one.left, state.left) or one.left
    state.limit, state.ends = one.limit, day_ends
  end
  local seconds = one.seconds and math.min(one.seconds, DAY)
  if one.decision == 'done' and state.most then
    state.most = state.most + 1 / state.most
    if state.most >= limits.slots then state.most = nil end
  elseif one.decision == 'throttled' then
    paused = math.max(paused, now + (seconds or 0))
  elseif one.decision == 'slow' then
    state.most = math.max(1, math.min(state.most or limits.slots, limits.slots) / 2)
  elseif one.decision == 'exhausted' then
    state.ends = seconds and now + seconds or state.ends or now + UNKNOWN_RESET
    state.left = 0
  end
  local name = slot_name(one.slot)
  local known = redis.call('ZREM', slots, name) == 1
  in_flight = redis.call('ZCARD', slots)
  if one.sent then
    redis.call('ZADD', ends, number_text(now), name)
    redis.call('ZREMRANGEBYRANK', ends, 0, -1 - math.max(KEPT, rate or 0))
    redis.call('PEXPIRE', ends, window + 1000)
  elseif known then
    used = math.max(0, used - 1)
    if rate then next_start = next_start - interval end
  end
end

local function remaining()
  local left = state.left and state.left - in_flight
  local day = limits.per_day or state.limit
  if day and (limits.per_day or limits.share < 1) then
    local own = math.floor(day * limits.share) - used
    left = left and math.min(left, own) or own
  end
  return left and math.max(0, left)
end

-- Milliseconds until a call of this rank may start, after all that wait before it; nil: when a call ends.
local function wait_for(rank)
  local before = redis.call('ZCOUNT', queue, '-inf', '(' .. string.format('%d', rank))
  if in_flight + before >= math.floor(math.min(state.most or limits.slots, limits.slots)) then return nil end
  local wait = math.max(0, paused - now, held - now)
  if not rate then return wait end
  local ended = redis.call('ZCARD', ends)
  local excess = ended + in_flight + before - rate
  if excess >= ended then return nil end
  if excess >= 0 then
    local oldest = redis.call('ZRANGE', ends, excess, excess, 'WITHSCORES')
    wait = math.max(wait, tonumber(oldest[2]) + window - now)
  end
  return math.max(wait, next_start + interval * (before - math.min(limits.burst, rate) + 1) - now)
end

local function take_place(rank, until_time)
  redis.call('ZADD', queue, string.format('%d', rank), holder)
  redis.call('ZADD', places, number_text(until_time), holder)
  redis.call('PEXPIRE', queue, DAY)
  redis.call('PEXPIRE', places, DAY)
end

local function leave()
  redis.call('ZREM', queue, holder)
  redis.call('ZREM', places, holder)
end

local function hold_slot(name)
  redis.call('ZADD', slots, number_text(now + lease), name)
  redis.call('PEXPIRE', slots, lease + window)
end

for _, one in ipairs(input.reports or {}) do report(one) end
for _, slot in ipairs(input.renew or {}) do
  redis.call('ZREM', ends, slot_name(slot))
  hold_slot(slot_name(slot))
end
in_flight = redis.call('ZCARD', slots)
if input.stop_waiting then leave() end

local left = remaining()
local exhausted = left ~= nil and left <= limits.reserve
local granted, wait = -1, 0
local ask = input.ask
if ask and exhausted then
  leave()
elseif ask then
  local name = slot_name(ask.slot)
  local mine = tonumber(redis.call('ZSCORE', queue, holder) or nil)
  local rank = mine and mine % LATE or number + 1
  if not ask.priority then rank = rank + LATE end
  if redis.call('ZSCORE', slots, name) then
    granted = ask.slot
  else
    wait = wait_for(rank)
    if wait == 0 then
      granted = ask.slot
      hold_slot(name)
      in_flight = in_flight + 1
      used = used + 1
      if limits.per_day and not state.ends then state.ends = now + DAY end
      if rate then next_start = math.max(next_start, now) + interval end
      leave()
      if ask.more then
        number = number + 1
        take_place(number + LATE, now + GRACE)
      end
    else
      if not mine then number = number + 1 end
      take_place(rank, now + (wait or 0) + GRACE)
    end
  end
end

if not input.peek then
  local saved = {'run', run, 'time', number_text(now), 'held', number_text(held), 'number', string.format('%d', number)}
  local optional = {most = state.most, limit = state.limit, left = state.left, ends = state.ends}
  optional.next, optional.paused, optional.used = next_start, paused, used
  for _, field in ipairs({'next', 'paused', 'used', 'most', 'limit', 'left', 'ends'}) do
    saved[#saved + 1] = field
    saved[#saved + 1] = optional[field] and number_text(optional[field]) or ''
  end
  redis.call('HSET', state_key, unpack(saved))
  redis.call('EXPIRE', state_key, STATE_DAYS * 86400)
end

return {
  granted,
  wait and math.ceil(wait) or -1,
  state.limit or -1,
  remaining() or -1,
  state.ends and math.ceil(state.ends - now) or -1,
  math.max(0, math.ceil(paused - now)),
  exhausted and 1 or 0,
  redis.call('ZCARD', ends) + in_flight,
}
