-- Runs once in each state, with everything that Lua has; gives what makes the globals of one run.
local check, own = ...

-- The functions of the host take the place of those that could run or grow without a step.
string.dump, string.gfind = nil, nil
for name, f in pairs(own) do string[name] = f end

-- What works on whole texts looks at the limits first.
local function checked(f)
  return function(...)
    check()
    return f(...)
  end
end
for _, name in ipairs { "upper", "lower", "reverse", "format" } do string[name] = checked(string[name]) end

local insert, sort, type, error, select = table.insert, table.sort, type, error, select
local lib = { remove = checked(table.remove), concat = checked(table.concat), maxn = table.maxn }
function lib.insert(t, ...)
  if type(t) == "table" and select("#", ...) == 2 then
    local at = ...
    if type(at) ~= "number" or at < 1 or at > #t + 1 then error("bad position to insert at", 2) end
    check()
  end
  return insert(t, ...)
end
-- With a function of Lua to compare by, each comparison is a step.
local function less(a, b) return a < b end
function lib.sort(t, by) return sort(t, by or less) end

math.random, math.randomseed = nil, nil
getmetatable("").__metatable = false

local base = {}
for _, name in ipairs {
  "assert", "error", "getmetatable", "ipairs", "next", "pairs", "rawequal", "rawget", "rawset", "select",
  "setmetatable", "tonumber", "tostring", "type", "unpack",
} do
  base[name] = _G[name]
end
local libs = { string = string, table = lib, math = math }

local pairs = pairs
return function(event)
  local globals = { event = event }
  for name, f in pairs(base) do globals[name] = f end
  for name, members in pairs(libs) do
    local copy = {}
    for key, f in pairs(members) do copy[key] = f end
    globals[name] = copy
  end
  return globals
end
