-- KEYS: stream, delayed; ARGV: the last id that was read, events, bytes, age
local stream, delayed = KEYS[1], KEYS[2]
local last, want, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local got, bytes = {}, 0

move(stream, delayed, tonumber(ARGV[4]))

while #got < want and bytes < limit do
  local read = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', math.min(16, want - #got))
  if #read == 0 then
    break
  end
  for _, entry in ipairs(read) do
    for _, text in ipairs(entry[2]) do
      bytes = bytes + #text
    end
    got[#got + 1] = {entry[1], 1, entry[2]}
    last = entry[1]
  end
end

local left = -1
local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
if first then
  left = math.max(first - now, 0)
end
return {got, left, last}
