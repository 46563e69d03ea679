-- KEYS: stream; ARGV: the position behind which is counted, up to a bound
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not last or last[1] == ARGV[1] then
  return 0
end
return #redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', 10000)
