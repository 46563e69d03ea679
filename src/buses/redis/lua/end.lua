-- KEYS: stream. What is appended later gets this time or a later one.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return {whole(now), last and last[1] or ''}
