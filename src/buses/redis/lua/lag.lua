-- KEYS: stream; ARGV: group
if redis.call('EXISTS', KEYS[1]) == 0 then
  return -1
end
local info = group_info(KEYS[1], ARGV[1])
if not info then
  return -1
end
local lag = info['lag']
if not lag then
  -- An older server, or entries were deleted in the middle: counted, up to a bound.
  lag = #redis.call('XRANGE', KEYS[1], '(' .. info['last-delivered-id'], '+', 'COUNT', 10000)
end
return info['pending'] + lag
