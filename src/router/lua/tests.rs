use super::*;

fn decide(text: &str, json: &str) -> Result<bool, Halt> {
    Script::compile(text).unwrap().decide(json)
}

fn transform(text: &str, json: &str) -> Result<String, Halt> {
    Script::compile(text).unwrap().transform(json)
}

/// What an expression gives, as text.
fn value(expression: &str) -> String {
    let text = format!(
        "local function all(...) local t = {{}} for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end \
        return table.concat(t, ',') end return {{v = all({expression})}}"
    );
    let json = transform(&text, "{}").unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["v"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_script_sees_the_data_as_event_and_says_true_or_false() {
    let data = r#"{"total": 42.5, "items": [{"sku": "a"}, {"sku": "b"}], "none": null, "deep": [[1, 2], null, 3]}"#;
    for (text, expected) in [
        ("return event.total > 40", true),
        ("return event.total > 43", false),
        ("return #event.items == 2 and event.items[2].sku == 'b'", true),
        ("return event.none == nil and event.deep[1][2] == 2 and event.deep[3] == 3", true),
        ("return 1, 'two', true", true),
        ("for _, item in ipairs(event.items) do if item.sku:match('^b$') then return true end end return false", true),
    ] {
        assert_eq!(decide(text, data), Ok(expected), "{text}");
    }
    assert_eq!(decide("return event.a == nil", "null"), Ok(true));
}

#[test]
fn what_is_no_truth_and_what_fails_is_told_apart() {
    assert_eq!(decide("return 1", "{}"), Err(Halt::WrongType("a number")));
    assert_eq!(decide("local a = 1", "{}"), Err(Halt::WrongType("nothing")));
    assert_eq!(decide("return true", "[1]"), Err(Halt::NoObject));
    assert_eq!(decide("return true", r#"{"a": 1e999}"#), Err(Halt::Unreadable));
    let failed = decide("\nreturn event.a.b", "{}");
    assert_eq!(failed, Err(Halt::Failed("script:2: attempt to index field 'a' (a nil value)".to_owned())));
    assert_eq!(decide("error('no')", "{}"), Err(Halt::Failed("script:1: no".to_owned())));
}

#[test]
fn a_text_that_is_no_lua_is_refused_with_its_line() {
    let refused = |text: &str| Script::compile(text).unwrap_err().to_string();
    assert_eq!(
        refused("local a = 1\nif a then\n  return tru e\nend"),
        "'end' expected (to close 'if' at line 2) near 'e' in line 3"
    );
    assert_eq!(refused("return 'x"), "unfinished string near '<eof>' in line 1");
    assert_eq!(refused("  "), "must not be empty");
    assert_eq!(refused(&" return true".repeat(2000)), "the script is longer than 16384 bytes");
    assert!(refused("\u{1b}Lua").contains("binary"), "{}", refused("\u{1b}Lua"));
}

#[test]
fn nothing_outside_can_be_reached() {
    for name in [
        "io",
        "os",
        "package",
        "debug",
        "require",
        "module",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "getfenv",
        "setfenv",
        "newproxy",
        "collectgarbage",
        "coroutine",
        "pcall",
        "xpcall",
        "print",
        "_G",
        "string.dump",
        "math.random",
        "table.foreach",
    ] {
        assert_eq!(decide(&format!("return {name} == nil"), "{}"), Ok(true), "{name}");
    }
    assert_eq!(decide("return getmetatable('').__index == nil", "{}").ok(), None);
}

#[test]
fn a_run_finds_nothing_of_the_run_before() {
    let text = "local seen = leaked or string.leaked or ('').leaked or table[1] or math.leaked \
        leaked = 1 string.leaked = 1 table[1] = 1 rawset(math, 'leaked', 1) return seen == nil";
    let script = Script::compile(text).unwrap();
    for _ in 0..3 {
        assert_eq!(script.decide("{}"), Ok(true));
    }
}

#[test]
fn a_run_without_end_or_measure_ends_at_a_limit_and_the_next_is_fine() {
    let bombs = [
        "while true do end",
        "local function f() return f() end return f()",
        "repeat until false",
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "return ('x'):rep(1e9) == ''",
        "for i = 1, 1e9 do local s = (''):rep(1e9) end",
        "while true do local s = ('x'):rep(1e6) end",
        "return (('a'):rep(5000)):find(('a-'):rep(20) .. 'b') == nil",
        "return (('a'):rep(100000)):match('.-.-.-b') == nil",
        "return (('a'):rep(100000)):gsub('.-.-.-b', '') == ''",
        "for _ in (('a'):rep(100000)):gmatch('.-.-.-b') do end",
        "for i = 1, 1e9 do local _ = ('a'):gsub('', 'b') end",
        "local t = {} for i = 1, 200 do t[i] = i end while true do table.sort(t, function() return false end) end",
        "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) while true do local _ = #t end",
    ];
    for text in bombs {
        assert_eq!(decide(text, "{}"), Err(Halt::TooCostly), "{text}");
    }
    let script = Script::compile("while event.more do end return true").unwrap();
    assert_eq!(script.decide(r#"{"more": true}"#), Err(Halt::TooCostly));
    assert_eq!(script.decide("{}"), Ok(true));
}

#[test]
fn recursion_without_end_fails() {
    for text in [
        "local function f() return 1 + f() end return f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x",
        "local function f() return (('a'):gsub('a', f)) end return f()",
        "table.insert({}, -1e9, 1)",
    ] {
        assert!(matches!(decide(text, "{}"), Err(Halt::Failed(_))), "{text}: {:?}", decide(text, "{}"));
    }
}

#[test]
fn patterns_mean_what_they_mean_in_lua() {
    for (expression, expected) in [
        ("('hello world'):find('o w')", "5,7"),
        ("('hello'):find('l+')", "3,4"),
        ("('a.b'):find('.', 1, true)", "2,2"),
        ("('hello'):find('xyz')", "nil"),
        ("('hello'):find('', 10)", "6,5"),
        ("('key = value'):match('^(%w+)%s*=%s*(%w+)$')", "key,value"),
        ("('2024-05-06'):match('(%d+)-(%d+)-(%d+)')", "2024,05,06"),
        ("('hello'):match('()ll()')", "3,5"),
        ("('f(a(b)c)d'):match('%b()')", "(a(b)c)"),
        ("('THE (quick) fox'):find('%f[%a]%a+%f[%A]')", "1,3"),
        ("('abab'):match('^(ab)%1$')", "ab"),
        ("('[x]'):match('[]x[]+')", "[x]"),
        ("('a-b'):match('[a-]+')", "a-"),
        ("('x^y'):match('[%^x]+')", "x^"),
        ("('aXb'):match('%u')", "X"),
        ("('aaa'):match('^a-$')", "aaa"),
        ("('aaab'):match('a-b')", "aaab"),
        ("('abc'):gsub('%w', '%0%0')", "aabbcc,3"),
        ("('hello world'):gsub('o', '0', 1)", "hell0 world,1"),
        ("('abc'):gsub('', '-')", "-a-b-c-,4"),
        ("('$name is $age'):gsub('%$(%w+)', {name = 'Ann', age = 7})", "Ann is 7,2"),
        ("('abc'):gsub('b', function(b) return b:upper() end)", "aBc,1"),
        ("('abc'):gsub('^b', 'x')", "abc,0"),
        ("('x'):rep(3)", "xxx"),
        ("('x'):rep(-1)", ""),
        ("('abc'):find('b', -2)", "2,2"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
    let words = "local t = {} for w in ('one two'):gmatch('%a+') do t[#t + 1] = w end return {w = t}";
    assert_eq!(transform(words, "{}"), Ok(r#"{"w":["one","two"]}"#.to_owned()));
    for malformed in
        ["('a'):find('[a')", "('a'):find('%')", "('a'):find('(a')", "('a'):match('a)')", "('a'):find('%1')"]
    {
        assert!(matches!(decide(&format!("return {malformed}"), "{}"), Err(Halt::Failed(_))), "{malformed}");
    }
}

#[test]
fn a_result_is_an_object_of_bounded_size() {
    for (text, expected) in [
        ("event.b = event.a + 1 return event", r#"{"a":1,"b":2}"#),
        ("return {}", "{}"),
        ("return {list = setmetatable({}, {__is_array = true}), n = 1.5, t = true}", r#"{"list":[],"n":1.5,"t":true}"#),
        ("return {[7] = 'x'}", r#"{"7":"x"}"#),
    ] {
        let result: serde_json::Value = serde_json::from_str(&transform(text, r#"{"a": 1}"#).unwrap()).unwrap();
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(result, expected, "{text}");
    }
    let sorted = transform("return event", r#"{"b": 1, "d": {"z": 1, "y": 2}, "a": 2, "c": 3}"#);
    assert_eq!(sorted.as_deref(), Ok(r#"{"a":2,"b":1,"c":3,"d":{"y":2,"z":1}}"#));
    let holes = transform("return event", r#"{"l": [1, null, 3]}"#);
    assert_eq!(holes.as_deref(), Ok(r#"{"l":[1,null,3]}"#));
    for (text, expected) in [
        ("return 'x'", Halt::WrongType("a text")),
        ("return {1, 2}", Halt::WrongType("a list")),
        ("return {a = {1, 2, b = 3}}", Halt::WrongType("a table that is half a list")),
        ("return {a = 0/0}", Halt::WrongType("a number that JSON cannot write")),
        ("return {a = tostring}", Halt::WrongType("a function")),
        ("return {a = '\\255'}", Halt::WrongType("a text that is not UTF-8")),
        ("local t = {} t.t = t return t", Halt::TooCostly),
        ("local t = {} for i = 1, 40 do t = {a = t, b = t} end return t", Halt::TooCostly),
        ("return {a = ('x'):rep(2000000)}", Halt::TooCostly),
    ] {
        assert_eq!(transform(text, "{}"), Err(expected), "{text}");
    }
}

#[test]
fn several_threads_run_one_script() {
    let script = Script::compile("return event.n % 2 == 0").unwrap();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let script = &script;
            scope.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(script.decide(&format!("{{\"n\": {n}}}")), Ok(n % 2 == 0));
                }
            });
        }
    });
}
