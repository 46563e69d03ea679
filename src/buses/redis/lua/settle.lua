-- KEYS: stream, again; ARGV: group, consumer, and per entry its id and its pause (-1: it is done with)
for at = 3, #ARGV, 2 do
  local id, pause = ARGV[at], tonumber(ARGV[at + 1])
  if pause < 0 then
    redis.call('XACK', KEYS[1], ARGV[1], id)
    redis.call('ZREM', KEYS[2], pad(id))
  elseif holds(KEYS[1], ARGV[1], ARGV[2], id) then
    local due = now
    if pause > 0 then
      due = now + 1 + pause
    end
    redis.call('ZADD', KEYS[2], whole(due), pad(id))
  end
end
return 1
