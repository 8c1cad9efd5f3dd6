"""What Redis does in one step, in Lua: `memory` says the same in Python. Used by `redis`.

A window is a hash: a field for each bucket, `t` for their sum, `o` for the oldest bucket that may be there. Slots are a
sorted set of leases by the time at which they end. A budget is a number. Times are milliseconds of Redis' own clock, so
gateways need not agree about theirs; tests give another.
"""

from __future__ import annotations

from typing import Final

from penstock.accounts.limits.counters import BUCKETS, WIDTH

_COMMON: Final = f"""
local N, W = {BUCKETS}, {WIDTH}

local now = tonumber(ARGV[1])
if not now then
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local index = math.floor(now / W)

local function advance(key)
    local kept = redis.call('HMGET', key, 't', 'o')
    local total, oldest = tonumber(kept[1]) or 0, tonumber(kept[2])
    if oldest and oldest > index then  -- the clock was set back
        redis.call('DEL', key)
        return 0
    end
    local first = index - N
    if oldest and oldest < first then
        local gone = {{}}
        for bucket = oldest, math.min(first - 1, oldest + N) do gone[#gone + 1] = bucket end
        for _, amount in ipairs(redis.call('HMGET', key, unpack(gone))) do
            total = total - (tonumber(amount) or 0)
        end
        redis.call('HDEL', key, unpack(gone))
        redis.call('HSET', key, 't', total, 'o', first)
    end
    return total
end

local function change(key, bucket, amount)
    redis.call('HSETNX', key, 'o', bucket)
    redis.call('HINCRBY', key, 't', amount)
    if redis.call('HINCRBY', key, bucket, amount) == 0 then redis.call('HDEL', key, bucket) end
    redis.call('PEXPIRE', key, (N + 2) * W)
end
"""

ADMIT: Final = (
    _COMMON
    + """
local asked = cjson.decode(ARGV[2])
local lease, life, charges = asked.lease, asked.life, asked.charges

local function buckets(key)
    local found, all = {}, redis.call('HGETALL', key)
    for n = 1, #all, 2 do
        local bucket = tonumber(all[n])
        if bucket then found[#found + 1] = {bucket, tonumber(all[n + 1])} end
    end
    table.sort(found, function(a, b) return a[1] < b[1] end)
    return found
end

local function written(states)
    local lines = {}
    for n, state in ipairs(states) do lines[n] = string.format('%.0f %.0f %.0f %.0f %.0f', unpack(state)) end
    return table.concat(lines, '\\n')
end

local function gone_in(bucket) return (bucket + N + 1) * W - now end

for place, leases in pairs(asked.over) do redis.call('ZREM', KEYS[tonumber(place)], unpack(leases)) end

local states, all_fit = {}, true
for n, key in ipairs(KEYS) do
    local kind, limit, amount = charges[n][1], charges[n][2], charges[n][3]
    local fits, used, wait = false, 0, 0
    if kind == 'w' then
        used = advance(key)
        fits = used + amount <= limit
        if not fits then
            local left = used
            for _, one in ipairs(buckets(key)) do
                left = left - one[2]
                if left + amount <= limit then wait = gone_in(one[1]) break end
            end
        end
    elseif kind == 's' then
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
        used = redis.call('ZCARD', key)
        fits = used < limit
    else
        used = tonumber(redis.call('GET', key)) or 0
        fits = used < limit
    end
    all_fit = all_fit and fits
    states[n] = {fits and 1 or 0, used, wait, 0, 0}
end
if not all_fit then
    for n, key in ipairs(KEYS) do
        if charges[n][1] == 'w' then
            local found = buckets(key)
            if #found > 0 then states[n][4] = gone_in(found[#found][1]) end
        end
    end
    return written(states)
end
for n, key in ipairs(KEYS) do
    local kind, amount, state = charges[n][1], charges[n][3], states[n]
    if kind == 'w' then
        if amount > 0 then change(key, index, amount) end
        state[2] = state[2] + amount
        state[4] = gone_in(index)
        state[5] = index
    elseif kind == 's' then
        redis.call('ZADD', key, now + life, lease)
        redis.call('PEXPIRE', key, life)
        state[2] = state[2] + 1
    end
end
return written(states)
"""
)
"""KEYS: counters. ARGV: the time or nothing, and JSON: `lease`, its `life`, `charges` of the counters as [kind, limit,
amount], and `over`: leases that are over, by the place of their counter. Returns a line for each counter: whether it
fits, what is used, the wait, the reset and the bucket. Long lists of arguments and answers would cost more than the
rest."""

SETTLE: Final = (
    _COMMON
    + """
-- What was sent again because no answer came is done once.
local told = cjson.decode(ARGV[2])
if (tonumber(redis.call('GET', KEYS[1])) or 0) >= told.number then return 0 end
redis.call('SET', KEYS[1], told.number, 'PX', told.life)
for _, entry in ipairs(told.entries) do
    local key, kind, amount, other = KEYS[entry[1]], entry[2], entry[3], entry[4]
    if kind == 'w' then
        advance(key)
        if amount > 0 then
            change(key, index, amount)
        else
            local there = tonumber(redis.call('HGET', key, other)) or 0
            local back = math.min(-amount, there)
            if back > 0 then change(key, other, -back) end
        end
    elseif kind == 's' then
        redis.call('ZREM', key, other)
    else
        redis.call('INCRBY', key, amount)
        redis.call('PEXPIRE', key, other)
    end
end
return 1
"""
)
"""KEYS: what the sender sent last, and counters. ARGV: the time or nothing, and JSON: the `number` of this batch, the
`life` of that number, and `entries` as [place of the counter, kind, amount, and the bucket, the lease or the life]."""

RENEW_SLOTS: Final = (
    _COMMON
    + """
local life = tonumber(ARGV[2])
for n, key in ipairs(KEYS) do
    redis.call('ZADD', key, now + life, ARGV[n + 2])
    redis.call('PEXPIRE', key, life)
end
return #KEYS
"""
)
"""KEYS: slots. ARGV: the time or nothing, the life, and the lease of each."""
