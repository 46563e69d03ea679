-- Gives back everything that a consumer holds, and forgets it.
-- KEYS: stream, again; ARGV: group, consumer, and the name that holds it instead
local stream, again, group, consumer = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local pending = redis.call('XPENDING', stream, group, '-', '+', 500, consumer)
for _, entry in ipairs(pending) do
  -- One that waits for its time already keeps it.
  redis.call('ZADD', again, 'NX', whole(now), pad(entry[1]))
  redis.call('XCLAIM', stream, group, ARGV[3], 0, entry[1], 'JUSTID')
end
if #pending < 500 then
  redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
  return 0
end
return 1
