-- KEYS: values, keys, revision
-- ARGV: per write its key, what is expected (* anything, - nothing, or a revision), 1 for a value, the value
for at = 1, #ARGV, 4 do
  local found = redis.call('HGET', KEYS[1], ARGV[at])
  local revision = found and string.match(found, '^(%d+):') or '-'
  if ARGV[at + 1] ~= '*' and ARGV[at + 1] ~= revision then
    return {'conflict', revision}
  end
end
local answers = {'written'}
for at = 1, #ARGV, 4 do
  local revision = string.format('%.0f', redis.call('INCR', KEYS[3]))
  if ARGV[at + 2] == '1' then
    redis.call('HSET', KEYS[1], ARGV[at], revision .. ':' .. ARGV[at + 3])
    redis.call('ZADD', KEYS[2], 0, ARGV[at])
  else
    redis.call('HDEL', KEYS[1], ARGV[at])
    redis.call('ZREM', KEYS[2], ARGV[at])
  end
  answers[#answers + 1] = revision
end
return answers
