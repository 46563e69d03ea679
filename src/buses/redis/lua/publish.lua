-- KEYS: stream, delayed, number, and one per event that is to be recognised
-- ARGV: window, age, and per event the index of its key (0 for none), its delay and its record
local answers = {}
for at = 3, #ARGV, 3 do
  local key, delay, record = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2]
  local answer
  if key > 0 and not redis.call('SET', KEYS[key], '1', 'NX', 'PX', ARGV[1]) then
    answer = 'duplicate'
  elseif delay > 0 then
    -- The number keeps events of one moment in order, and apart.
    local number = string.format('%016.0f', redis.call('INCR', KEYS[3]))
    redis.call('ZADD', KEYS[2], whole(now + 1 + delay), number .. record)
    answer = 'delayed'
  else
    answer = append(KEYS[1], tonumber(ARGV[2]), record)
  end
  answers[#answers + 1] = answer
end
return answers
