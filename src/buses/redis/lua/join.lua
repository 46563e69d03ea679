-- KEYS: stream, delayed; ARGV: group, start, age
move(KEYS[1], KEYS[2], tonumber(ARGV[3]))
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP') then
  return made
end
return 1
