use fastrand::Rng;
use serde_json::{Value as Json, json};

use super::*;
use crate::api::filter::ExprField;
use crate::event::{Data, Draft, Event};
use crate::router::filter::{Filter, json as raw_json};

const PAYLOAD: &str = r#"{"a": 5, "b": "text", "t": true, "f": false, "n": null, "l": [1, "x", true], "m": {"k": 1, "o": [2]},
    "same": {"o": [2.0], "k": 1e0}, "my-f": 7, "d": "2026-01-02", "quote": "it's \\", "z": 0, "half": 2.5}"#;

const NAMES: &[&str] = &["a", "b", "t", "f", "n", "l", "m", "same", "my-f", "d", "quote", "z", "half"];

fn tokens_of_fields() -> Bound<'static> {
    NAMES.iter().map(|name| raw(Path::compile(name).unwrap().find(PAYLOAD)).unwrap()).collect()
}

fn evaluate(text: &str) -> Result<Json, Cause> {
    let part = Parser::new(lex::tokens(text).unwrap(), NAMES).whole();
    let part = part.unwrap_or_else(|slip| panic!("{text}: {slip:?}"));
    let fields = tokens_of_fields();
    let value = part.node.value(&fields)?;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Truth(truth) => json!(truth),
        Value::Number(number) if number.is_infinite() => json!("infinite"),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Container(raw) => serde_json::from_str(&raw).unwrap(),
    })
}

fn check(rows: &[(&str, Json)]) {
    for (text, expected) in rows {
        assert_eq!(evaluate(text).as_ref(), Ok(expected), "{text}");
    }
}

fn compile(expr: &str, fields: &[(&str, &str)]) -> Result<ExprTest, String> {
    let fields = fields.iter().map(|(name, path)| ExprField { name: (*name).into(), path: (*path).into() });
    let raw = ExprFilter { expr: expr.into(), fields: fields.collect() };
    let mut problems = Problems::new();
    let compiled = ExprTest::compile(&raw, &FieldPath::root(), &mut problems);
    compiled.ok_or_else(|| problems.to_string())
}

fn event(payload: Option<&str>) -> Event {
    let draft = Draft::new("1", "s", "t");
    payload.map_or(draft.clone(), |payload| draft.data(Data::Text(payload))).build().unwrap()
}

#[test]
fn numbers_are_reckoned_with_as_in_govaluate() {
    check(&[
        ("2 ** 3 ** 2", json!(64.0)),
        ("-2 ** 2", json!(4.0)),
        ("10 - 3 - 2", json!(5.0)),
        ("2 + 3 * 4", json!(14.0)),
        ("100 / 10 / 2", json!(5.0)),
        ("7 % 4", json!(3.0)),
        ("-7 % 4", json!(-3.0)),
        ("7.5 % 2", json!(1.5)),
        ("1 / 0", json!("infinite")),
        ("2 * 3 % 4", json!(2.0)),
        ("6 & 3", json!(2.0)),
        ("6 | 3", json!(7.0)),
        ("6 ^ 3", json!(5.0)),
        ("1 | 2 & 2", json!(2.0)),
        ("1 << 3 + 1", json!(16.0)),
        ("1 << 3 | 1", json!(9.0)),
        ("256 >> 4", json!(16.0)),
        ("1 << 64", json!(0.0)),
        ("1 << -1", json!(0.0)),
        ("-1 >> 1", json!(9.223_372_036_854_776e18)),
        ("5.9 & 7", json!(5.0)),
        ("~5", json!(-6.0)),
        ("~a & 1", json!(0.0)),
        ("- a + 1", json!(-4.0)),
        ("a--1", json!(6.0)),
        ("a**-1", json!(0.2)),
        ("0x1F + .5 + 5.", json!(36.5)),
        ("[my-f] - my\\-f", json!(0.0)),
    ]);
}

#[test]
fn comparisons_never_cast() {
    check(&[
        ("a > 3 && b == 'text'", json!(true)),
        ("a>-1", json!(true)),
        ("b > 'a'", json!(true)),
        ("'B' < 'a'", json!(true)),
        ("a == '5'", json!(false)),
        ("a != b", json!(true)),
        ("n == n", json!(true)),
        ("n == z", json!(false)),
        ("f == z", json!(false)),
        ("l == l && m == same", json!(true)),
        ("l == m", json!(false)),
        ("a == 5 == true", json!(true)),
        ("1 < 2 == t", json!(true)),
        ("d == '2026-01-02'", json!(true)),
        ("d > '2025'", json!(true)),
        ("quote == 'it\\'s \\\\'", json!(true)),
        ("quote == \"it's \\\\\"", json!(true)),
        ("half == 2.50", json!(true)),
        ("b =~ 'ex' && b !~ '^ex'", json!(true)),
        ("b =~ '^\\\\w+$'", json!(true)),
        ("!(a > 3)", json!(false)),
        ("!!t", json!(true)),
    ]);
    for text in ["b > 3", "a > b", "t < f", "n > 0", "l >= l", "!a", "-b", "a =~ '5'", "n - 1", "t + t", "b + n", "~t"]
    {
        assert_eq!(evaluate(text), Err(Cause::WrongType), "{text}");
    }
}

#[test]
fn logic_choices_lists_and_texts() {
    check(&[
        ("t && f || t", json!(true)),
        ("t || f && f", json!(true)),
        ("f && a", json!(false)),
        ("t || a", json!(true)),
        ("a in (1, 5)", json!(true)),
        ("a in (5)", json!(true)),
        ("a in (1)", json!(false)),
        ("a IN (half, a)", json!(true)),
        ("a in (z)", json!(false)),
        ("1 in l", json!(true)),
        ("1 in (l)", json!(true)),
        ("'1' in l", json!(false)),
        ("l in (l, 1)", json!(true)),
        ("a in (1, 2) && t", json!(false)),
        ("t ? 1 : 2", json!(1.0)),
        ("f ? 1 : 2", json!(2.0)),
        ("f ? 1", json!(null)),
        ("t ? f : t", json!(false)),
        ("f ? 1 : (t ? 2 : 3)", json!(2.0)),
        ("n ?? 5", json!(5.0)),
        ("n ?? n ?? a", json!(5.0)),
        ("b + a", json!("text5")),
        ("a + b", json!("5text")),
        ("b + t + half", json!("texttrue2.5")),
        ("'' + 10 ** 21", json!("1e+21")),
        ("'' + 5 / 10 ** 7", json!("5e-07")),
        ("'' + -1 / 0", json!("-Inf")),
    ]);
    for text in ["t && a", "a || t", "a ? t : f", "1 in a", "1 in b", "1 in m"] {
        assert_eq!(evaluate(text), Err(Cause::WrongType), "{text}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_column() {
    let check = |expr: &str, expected: &str| {
        let refused = compile(expr, &[("a", "x.a"), ("my-f", "f"), ("word", "w")]).unwrap_err();
        assert_eq!(refused.lines().next().unwrap_or_default(), expected);
    };
    check("", "expr: expected a value, found the end at column 1");
    check("a = 5", "expr: equality is ==, found another number of signs at column 3");
    check("a === 5", "expr: equality is ==, found another number of signs at column 3");
    check("a and a", "expr: expected an operator or the end, found \"and\" at column 3");
    check("nil", "expr: no field is named \"nil\", at column 1");
    check("my-f > 1", "expr: no field is named \"my\", at column 1");
    check("len(a) > 1", "expr: \"len\" is called as a function, and there are none, at column 1");
    check("word(a)", "expr: expected an operator or the end, found \"(\" at column 5");
    check("1e3 < a", "expr: \"1e3\" is no number at column 1");
    check("1.5.2 < a", "expr: \"1.5.2\" is no number at column 1");
    check("a == 'open", "expr: the text that begins with ' does not end, it began at column 6");
    check("[a > 1", "expr: the name in brackets does not end, it began at column 1");
    check("word =~ '\\d'", "expr: a backslash stands before a quote or a backslash, at column 10");
    check("word =~ '(?=a)'", "expr: \"(?=a)\" is no regular expression: look-around is not supported at column 9");
    check("word =~ a", "expr: expected a pattern in quotes, found \"a\" at column 9");
    check("a in ()", "expr: expected a value, found \")\" at column 7");
    check("a in 5", "expr: this is a number, and a list is needed at column 6");
    check("(1, 2)", "expr: expected ), found \",\" at column 3");
    check("a > 5 > 1", "expr: true or false and a number cannot be compared so at column 7");
    check("'5' == 5", "expr: a text and a number cannot be compared so at column 5");
    check("!5", "expr: this is a number, and true or false is needed at column 2");
    check("a && 5", "expr: this is a number, and true or false is needed at column 6");
    check("true + 1", "expr: this is true or false, and a number is needed at column 1");
    check("-'x' > a", "expr: this is a text, and a number is needed at column 2");
    check("a ? true : a ? true : false", "expr: one choice follows another at column 14");
    check("a + 1 - 2", "expr: a filter must give true or false, this is a number at column 1");
    check("a # 1", "expr: '#' is not part of the language, at column 3");
    check(&"(".repeat(4097), "expr: the expression is longer than 4096 bytes");
    check(&"(".repeat(4096), "expr: nested more than 64 deep at column 65");
    check(&format!("{}a > 1", "a + ".repeat(1000)), "expr: nested more than 64 deep at column 255");
    let help = compile("my-f > 1", &[("my-f", "f")]).unwrap_err();
    assert!(help.ends_with("(a name with a dash is written [my-f])"), "{help}");
    assert!(compile(&vec!["a > 1"; 400].join(" || "), &[("a", "a")]).is_ok());
    assert_eq!(
        compile("a", &[("a", "$.a"), ("", "x"), ("a", "b")]).unwrap_err().lines().collect::<Vec<_>>(),
        [
            "fields[0].path: this is JSONPath, which is not understood (write the keys with dots, as in \"a\"; a key that \
             begins with $ is written \\$)",
            "fields[1].name: a name must not be empty",
            "fields[2].name: two fields are named \"a\"",
        ]
    );
    let none = compile("true", &[]).unwrap_err();
    assert_eq!(none, "fields: at least one field is needed (a name for the expression, and its path in the data)");
}

#[test]
fn every_path_must_find_something_and_the_result_must_be_true() {
    let judge = |expr: &str, payload: Option<&str>| {
        let compiled = compile(expr, &[("a", "x.a"), ("l", "x.l.#")]).unwrap();
        compiled.judge(&Subject::new(&event(payload)))
    };
    let payload = Some(r#"{"x": {"a": 5, "l": [1, 2]}}"#);
    assert_eq!(judge("a > 4 && l == 2", payload), Verdict::Yes);
    assert_eq!(judge("a > 5", payload), Verdict::No);
    assert_eq!(judge("a", payload), Verdict::Error(Cause::NotBool));
    assert_eq!(judge("a > 5 ? true", payload), Verdict::Error(Cause::NotBool));
    assert_eq!(judge("a && l", payload), Verdict::Error(Cause::WrongType));
    assert_eq!(judge("a > 4 || l == 2", Some(r#"{"x": {"a": 5}}"#)), Verdict::Error(Cause::MissingValue));
    assert_eq!(judge("a > 4", Some("")), Verdict::Error(Cause::EmptyPayload));
    assert_eq!(judge("a > 4", Some("a: 1")), Verdict::Error(Cause::NotJson));
    assert_eq!(judge("a > 4", None), Verdict::Yes);
}

#[test]
fn several_are_joined_by_their_operator() {
    let judge = |operator: Option<&str>| {
        let fields = json!([{"name": "a", "path": "a"}]);
        let filters = json!({"exprLogicalOperator": operator,
            "exprs": [{"expr": "a > 1", "fields": fields}, {"expr": "a > 5", "fields": fields}]});
        let mut problems = Problems::new();
        let raw = serde_json::from_value(filters).unwrap();
        let filter = Filter::compile(&raw, None, &FieldPath::root(), &mut problems);
        assert_eq!(problems.to_string(), "");
        filter.evaluate(&event(Some("{\"a\": 3}")))
    };
    assert_eq!(judge(None), Verdict::No);
    assert_eq!(judge(Some("and")), Verdict::No);
    assert_eq!(judge(Some("or")), Verdict::Yes);
}

#[test]
fn an_explanation_shows_every_field_seen() {
    let compiled = compile("a > 3 &&\n [my-f] == 'x'", &[("a", "x.a"), ("my-f", "f")]).unwrap();
    let explain = |payload| compiled.explain(&Subject::new(&event(payload)), Values::Shown);
    assert_eq!(explain(Some(r#"{"x": {"a": [5]}}"#)), "expr a > 3 && [my-f] == 'x', where a is [5], my-f is missing");
    assert_eq!(explain(None), "expr a > 3 && [my-f] == 'x', where nothing is looked at: the event has no data");
}

#[test]
fn no_text_panics_and_a_double_not_says_the_same() {
    const WORDS: &[&str] = &[
        "a", "b", "t", "n", "l", "m", "d", "[my-f]", "in", "true", "1", "0x1F", "2.5", "'ex'", "\"1\"", "(", ")", ",",
        "+", "-", "*", "/", "%", "**", "&", "|", "^", "~", "<<", ">>", "==", "!=", "<", ">=", "=~", "!~", "&&", "||",
        "!", "?", ":", "??", "é", "\\", "'", "[", "0x", "=",
    ];
    assert_eq!(raw_json::check(PAYLOAD), Ok(()));
    let fields = tokens_of_fields();
    let mut random = Rng::with_seed(5);
    let mut compiled = 0;
    for _ in 0..200_000 {
        let words: Vec<_> = (0..random.usize(1..9)).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
        let text = words.join(if random.bool() { " " } else { "" });
        let Ok(once) = read(&text, NAMES) else { continue };
        compiled += 1;
        let truth = once.value(&fields).and_then(|value| value.truth());
        let twice = read(&format!("!!({text})"), NAMES).unwrap_or_else(|slip| panic!("{text}: {slip:?}"));
        assert_eq!(twice.value(&fields).and_then(|value| value.truth()), truth, "{text}");
    }
    assert!(compiled > 5_000, "{compiled}");
}
