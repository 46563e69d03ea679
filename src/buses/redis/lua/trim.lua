-- KEYS: stream; ARGV: age, bytes (0: no limit)
redis.call('XTRIM', KEYS[1], 'MINID', '~', whole(math.max(now - tonumber(ARGV[1]), 0)))
local limit = tonumber(ARGV[2])
local used = limit > 0 and redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 10)
if used and used > limit then
  local keep = math.floor(redis.call('XLEN', KEYS[1]) * limit / used)
  return redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', keep)
end
return 0
