-- What several scripts need. All times are the server's, in milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number)
  return string.format('%.0f', number)
end

-- Ids of entries with leading zeros: they sort as text.
local function pad(id)
  local major, minor = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 20 - #major) .. major .. '-' .. string.rep('0', 20 - #minor) .. minor
end

local function unpad(padded)
  local major, minor = string.match(padded, '^0*(%d+)-0*(%d+)$')
  return major .. '-' .. minor
end

local function append(stream, age, record)
  return redis.call('XADD', stream, 'MINID', '~', whole(math.max(now - age, 0)), '*', 'event', record)
end

-- Moves delayed events that are due to the stream: one step, so each is moved once.
local function move(stream, delayed, age)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', whole(now), 'LIMIT', 0, 100)) do
    append(stream, age, string.sub(member, 17))
    redis.call('ZREM', delayed, member)
  end
end

-- Whether the entry is pending, and this consumer's.
local function holds(stream, group, consumer, id)
  local pending = redis.call('XPENDING', stream, group, id, id, 1)
  return pending[1] and pending[1][2] == consumer
end

local function group_info(stream, group)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local info = {}
    for at = 1, #flat, 2 do
      info[flat[at]] = flat[at + 1]
    end
    if info['name'] == group then
      return info
    end
  end
end

