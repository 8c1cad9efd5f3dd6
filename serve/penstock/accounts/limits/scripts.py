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

local function buckets(key)
    local found, all = {}, redis.call('HGETALL', key)
    for n = 1, #all, 2 do
        local bucket = tonumber(all[n])
        if bucket then found[#found + 1] = {bucket, tonumber(all[n + 1])} end
    end
    table.sort(found, function(a, b) return a[1] < b[1] end)
    return found
end

local function gone_in(bucket) return (bucket + N + 1) * W - now end

for place, leases in pairs(asked.over) do redis.call('ZREM', KEYS[tonumber(place)], unpack(leases)) end

local function look(key, kind, limit, amount)
    if kind == 'w' then
        local used, wait = advance(key), 0
        if used + amount > limit then
            local left = used
            for _, one in ipairs(buckets(key)) do
                left = left - one[2]
                if left + amount <= limit then wait = gone_in(one[1]) break end
            end
            return {0, used, wait, 0, 0}
        end
        return {1, used, 0, 0, 0}
    end
    local used
    if kind == 's' then
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
        used = redis.call('ZCARD', key)
    else
        used = tonumber(redis.call('GET', key)) or 0
    end
    return {used < limit and 1 or 0, used, 0, 0, 0}
end

local function take(key, kind, amount, lease, state)
    if kind == 'w' then
        if amount > 0 then change(key, index, amount) end
        state[2] = state[2] + amount
        state[4] = gone_in(index)
        state[5] = index
    elseif kind == 's' then
        redis.call('ZADD', key, now + asked.life, lease)
        redis.call('PEXPIRE', key, asked.life)
        state[2] = state[2] + 1
    end
end

local lines = {}
for _, request in ipairs(asked.requests) do
    local states, all_fit = {}, true
    for n, charge in ipairs(request.charges) do
        states[n] = look(KEYS[charge[1]], charge[2], charge[3], charge[4])
        all_fit = all_fit and states[n][1] == 1
    end
    for n, charge in ipairs(request.charges) do
        local key, kind, state = KEYS[charge[1]], charge[2], states[n]
        if all_fit then
            take(key, kind, charge[4], request.lease, state)
        elseif kind == 'w' then
            local found = buckets(key)
            if #found > 0 then state[4] = gone_in(found[#found][1]) end
        end
        lines[#lines + 1] = string.format('%.0f %.0f %.0f %.0f %.0f', unpack(state))
    end
end
return table.concat(lines, '\\n')
"""
)
"""KEYS: counters. ARGV: the time or nothing, and JSON: the `life` of leases; `requests`, each with its `lease` and its
`charges` as [place of the counter, kind, limit, amount]; and `over`: leases that are over, by the place of their
counter. Returns a line for each charge: whether it fits, what is used, the wait, the reset and the bucket. Long lists
of arguments and answers would cost more than the rest."""

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
