-- KEYS: stream, delayed, again; ARGV: group, consumer, events, bytes, age
local stream, delayed, again = KEYS[1], KEYS[2], KEYS[3]
local group, consumer = ARGV[1], ARGV[2]
local want, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
local got, bytes = {}, 0

local function take(id, attempt, fields)
  for _, text in ipairs(fields) do
    bytes = bytes + #text
  end
  got[#got + 1] = {id, attempt, fields}
end

move(stream, delayed, tonumber(ARGV[5]))

-- What is due again, first: in the order of the stream.
local due = redis.call('ZRANGEBYSCORE', again, '-inf', whole(now), 'LIMIT', 0, want)
table.sort(due)
for _, padded in ipairs(due) do
  if bytes >= limit then
    break
  end
  local id = unpad(padded)
  redis.call('ZREM', again, padded)
  local entry = redis.call('XCLAIM', stream, group, consumer, 0, id)[1]
  if entry then
    take(id, redis.call('XPENDING', stream, group, id, id, 1)[1][4], entry[2])
  else
    -- Settled meanwhile, or deleted by retention.
    redis.call('XACK', stream, group, id)
  end
end

while #got < want and bytes < limit do
  local count = math.min(16, want - #got)
  local read = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, '>')
  if not read then
    break
  end
  for _, entry in ipairs(read[1][2]) do
    take(entry[1], 1, entry[2])
  end
end

-- How long it is until something is due, and where the group stands when there was nothing.
local left = -1
for _, key in ipairs({delayed, again}) do
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if first then
    local wait = math.max(first - now, 0)
    if left < 0 or wait < left then
      left = wait
    end
  end
end
local last = '0-0'
if #got == 0 then
  local info = group_info(stream, group)
  last = info and info['last-delivered-id'] or last
end
return {got, left, last}
