-- Shows that what is held is in work, and takes what dead consumers held.
-- KEYS: stream, again; ARGV: group, consumer, idle, cursor, gone, and the ids that are held
local stream, again, group, consumer = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
for at = 6, #ARGV do
  if holds(stream, group, consumer, ARGV[at]) then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[at], 'JUSTID')
  end
end
local found = redis.call('XAUTOCLAIM', stream, group, consumer, ARGV[3], ARGV[4], 'COUNT', 100, 'JUSTID')
for _, id in ipairs(found[2]) do
  -- One that waits for its time already keeps it.
  redis.call('ZADD', again, 'NX', whole(now), pad(id))
end
-- Names of the dead are forgotten when nothing is theirs.
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local info = {}
  for at = 1, #flat, 2 do
    info[flat[at]] = flat[at + 1]
  end
  if info['name'] ~= consumer and info['pending'] == 0 and info['idle'] > tonumber(ARGV[5]) then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, info['name'])
  end
end
return {found[1], #found[2]}
