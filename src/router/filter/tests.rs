use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::{Data, Draft};

fn order() -> Draft<'static> {
    Draft::new("42", "/shop/orders", "com.shop.order")
        .with("subject", "orders/42")
        .with("time", "2026-07-01T23:30:00+02:00")
        .with("datacontenttype", "application/json; charset=utf-8")
        .with("priority", 3)
        .with("urgent", true)
}

fn compile(filters: Value, operator: Option<&str>) -> Result<Filter, String> {
    let input = FieldPath::root().field("spec").field("eventSources").index(0);
    let mut problems = Problems::new();
    let filters: Filters = serde_json::from_value(filters).unwrap();
    let filter = Filter::compile(&filters, operator, &input, &mut problems);
    if problems.is_empty() { Ok(filter) } else { Err(problems.to_string()) }
}

fn judge(filters: Value, operator: Option<&str>, draft: &Draft<'_>) -> Verdict {
    compile(filters, operator).unwrap().evaluate(&draft.build().unwrap())
}

fn data(path: &str, kind: &str, comparator: &str, value: &[&str]) -> Value {
    json!({"data": [{"path": path, "type": kind, "comparator": comparator, "value": value}]})
}

#[test]
fn data_is_compared_by_its_type() {
    const PAYLOAD: &str = r#"{"n": 50.5, "text": "func1-input1", "numeric": "7", "yes": true, "no": false, "nul": null,
        "list": [1], "one": 1.0, "big": 12345678901234567890, "word": "maybe", "on": "TRUE"}"#;
    let check = |path, kind, comparator, value: &[&str], expected| {
        let verdict = judge(data(path, kind, comparator, value), None, &order().data(Data::Text(PAYLOAD)));
        assert_eq!(verdict, expected, "{path} {kind} {comparator} {value:?}");
    };
    let (yes, no) = (Verdict::Yes, Verdict::No);
    check("n", "number", ">", &["50.0"], yes);
    check("n", "number", ">", &["50.5"], no);
    check("n", "number", ">=", &["50.5"], yes);
    check("n", "number", "<", &["1", "1e3"], yes);
    check("n", "number", "<=", &["50"], no);
    check("n", "number", "", &["1", "50.50"], yes);
    check("n", "number", "!=", &["50.5"], no);
    check("n", "number", "!=", &["1", "50.5"], no);
    check("n", "number", "!=", &["1", "2"], yes);
    check("numeric", "number", "=", &["7"], yes);
    check("yes", "number", "=", &["1"], yes);
    check("text", "number", "<", &["5"], Verdict::Error(Cause::NotNumber));
    check("nul", "number", "=", &["0"], Verdict::Error(Cause::NotNumber));
    check("list", "number", "=", &["0"], Verdict::Error(Cause::NotNumber));
    check("text", "string", "=", &["func1-input1", "x"], yes);
    check("text", "string", "=", &["input"], yes);
    check("text", "string", "=", &["^input"], no);
    check("text", "string", "!=", &["x", "y"], yes);
    check("text", "string", "!=", &["x", "input1"], no);
    check("one", "string", "=", &["^1$"], yes);
    check("big", "string", "=", &["^12345678901234567890$"], yes);
    check("nul", "string", "=", &["^$"], yes);
    check("list", "string", "=", &["^\\[1\\]$"], yes);
    check("yes", "bool", "=", &["true"], yes);
    check("yes", "bool", "!=", &["t"], no);
    check("no", "bool", "=", &["0"], yes);
    check("no", "bool", "=", &["true", "false"], yes);
    check("on", "bool", "=", &["1"], yes);
    check("word", "bool", "=", &["false"], Verdict::Error(Cause::NotBool));
    check("nul", "bool", "=", &["false"], Verdict::Error(Cause::NotBool));
    check("gone", "string", "!=", &["x"], Verdict::Error(Cause::MissingValue));
}

#[test]
fn a_payload_must_be_json_unless_there_is_none() {
    let filters = data("a", "number", "=", &["1"]);
    let check = |payload: Option<Data<'static>>, expected| {
        let draft = payload.map_or_else(order, |data| order().data(data));
        assert_eq!(judge(filters.clone(), None, &draft), expected, "{payload:?}");
    };
    check(None, Verdict::Yes);
    check(Some(Data::Text("")), Verdict::Error(Cause::EmptyPayload));
    check(Some(Data::Text("a: 1")), Verdict::Error(Cause::NotJson));
    check(Some(Data::Text("{\"a\": 1} x")), Verdict::Error(Cause::NotJson));
    check(Some(Data::Binary(b"{\"a\": 1}")), Verdict::Yes);
    check(Some(Data::Binary(b"{\"a\": 1, \"b\": \"\xff\"}")), Verdict::Error(Cause::NotJson));
}

#[test]
fn context_legacy_and_dialects_compare_canonical_text() {
    let check = |filters: Value, expected| assert_eq!(judge(filters.clone(), None, &order()), expected, "{filters}");
    let (yes, no) = (Verdict::Yes, Verdict::No);
    check(json!({"context": {"type": "com.shop.order", "subject": ""}}), yes);
    check(json!({"context": {"type": "com.shop"}}), no);
    check(json!({"attributes": {"priority": "3", "urgent": "true", "datamediatype": "application/json"}}), yes);
    check(json!({"attributes": {"subject": ""}}), yes);
    check(json!({"attributes": {"schemaurl": ""}}), no);
    check(json!([{"exact": {"type": "com.shop.order", "priority": "3"}}]), yes);
    check(json!([{"exact": {"type": "com.shop.order", "priority": "4"}}]), no);
    check(json!([{"prefix": {"type": "com."}}, {"suffix": {"subject": "/42"}}]), yes);
    check(json!([{"prefix": {"type": "com."}}, {"suffix": {"subject": "/43"}}]), no);
    check(json!([{"any": [{"exact": {"type": "x"}}, {"prefix": {"source": "/shop"}}]}]), yes);
    check(json!([{"not": {"exact": {"type": "x"}}}]), yes);
    check(json!([{"not": {"exact": {"missing": "x"}}}]), yes);
    check(json!([{"all": [{"exact": {"missing": "x"}}]}]), no);
    check(json!([]), yes);
    check(json!([{}]), yes);
    check(json!({}), yes);
}

#[test]
fn time_is_that_of_the_event_in_the_zone() {
    let check = |start: &str, stop: &str, zone: Option<&str>, expected| {
        let filters = json!({"time": {"start": start, "stop": stop, "timezone": zone}});
        assert_eq!(judge(filters, None, &order()), expected, "{start} {stop} {zone:?}");
    };
    // 21:30 UTC, 23:30 in Berlin.
    check("21:30:00", "21:30:01", None, Verdict::Yes);
    check("21:29:00", "21:30:00", None, Verdict::No);
    check("23:00:00", "23:59:59.5", Some("Europe/Berlin"), Verdict::Yes);
    check("22:00:00", "6:00:00", Some("Europe/Berlin"), Verdict::Yes);
    check("22:00:00", "06:00:00", None, Verdict::No);
    let timeless = order().without("time");
    let filters = json!({"time": {"start": "00:00:00", "stop": "23:00:00"}});
    assert_eq!(judge(filters, None, &timeless), Verdict::Error(Cause::MissingTime));
}

#[test]
fn kinds_are_joined_and_errors_are_neither_yes_nor_no() {
    let check = |filters: Value, operator, expected| {
        let draft = order().data(Data::Text(r#"{"a": 1}"#));
        assert_eq!(judge(filters.clone(), operator, &draft), expected, "{filters} {operator:?}");
    };
    let error = Verdict::Error(Cause::MissingValue);
    let missing = || json!({"path": "gone", "type": "number", "value": ["1"]});
    let one = |value: &str| json!({"path": "a", "type": "number", "value": [value]});
    let right = json!({"type": "com.shop.order"});
    let wrong = json!({"type": "x"});
    check(json!({"data": [one("1")], "context": right}), None, Verdict::Yes);
    check(json!({"data": [one("2")], "context": right}), Some("and"), Verdict::No);
    check(json!({"data": [one("2")], "context": right}), Some("or"), Verdict::Yes);
    check(json!({"data": [missing()], "context": right}), Some("or"), Verdict::Yes);
    check(json!({"data": [missing()], "context": right}), Some("and"), error);
    check(json!({"data": [missing()], "context": wrong}), Some("and"), Verdict::No);
    check(json!({"data": [missing()], "context": wrong}), Some("or"), error);
    check(json!({"data": [missing(), one("1")], "dataLogicalOperator": "or"}), None, Verdict::Yes);
    check(json!({"data": [missing(), one("2")], "dataLogicalOperator": "or"}), None, error);
    check(json!({"data": [missing(), one("2")]}), None, Verdict::No);
    check(json!({"data": [missing(), one("1")]}), None, error);
}

#[test]
fn a_template_makes_the_text_that_is_judged() {
    const PAYLOAD: &str = r#"{"b64": "NDI=", "n": 1000000, "ref": "refs/heads/main", "nul": null, "bad": "*"}"#;
    let check = |path: &str, kind: &str, value: &str, template: &str, expected| {
        let filters = json!({"data": [{"path": path, "type": kind, "value": [value], "template": template}]});
        let verdict = judge(filters, None, &order().data(Data::Text(PAYLOAD)));
        assert_eq!(verdict, expected, "{path} {template}");
    };
    check("b64", "number", "42", "{{ b64dec .Input }}", Verdict::Yes);
    check("b64", "number", "43", "{{ b64dec .Input }}", Verdict::No);
    check("n", "string", "^1000000!$", "{{ .Input }}!", Verdict::Yes);
    check("ref", "string", "^main$", "{{ .Input | trimPrefix \"refs/heads/\" }}", Verdict::Yes);
    check("n", "bool", "true", "{{ eq (int .Input) 1000000 }}", Verdict::Yes);
    check("nul", "string", "^$", "{{ .Input }}", Verdict::Error(Cause::MissingValue));
    check("bad", "number", "1", "{{ b64dec .Input }}", Verdict::Error(Cause::Template));
    check("b64", "string", "x", "{{ repeat 2000000 .Input }}", Verdict::Error(Cause::TooCostly));
    let broken = json!({"data": [{"path": "n", "type": "number", "value": ["1"], "template": "{{ .Input"}]});
    let expected = "spec.eventSources[0].filters.data[0].template: \"{{\" is not closed at column 1\n  {{ .Input\n  ^";
    assert_eq!(compile(broken, None).unwrap_err(), expected);
}

#[test]
fn all_that_can_be_wrong_is_refused_with_its_place() {
    let check = |filters: Value, operator, expected: &str| {
        assert_eq!(compile(filters, operator).unwrap_err(), expected.replace('@', "spec.eventSources[0].filters"));
    };
    check(
        json!({"data": [
            {"path": "$.a", "type": "number", "comparator": "~", "value": ["x", ""]},
            {"path": "a", "type": "string", "comparator": ">", "value": ["(?=a)"]},
            {"path": "a", "type": "strng", "value": ["a"]},
            {"path": "a", "type": "bool", "value": ["yes"], "template": "{{.Input}}"},
            {"path": "a", "type": "number", "value": ["NaN"]},
            {"path": "a", "type": "number", "value": []},
        ]}),
        None,
        "@.data[0].path: this is JSONPath, which is not understood (write the keys with dots, as in \"a\"; a key that begins with $ is written \\$)
@.data[0].comparator: unknown comparator \"~\" (known: =, !=, >, >=, <, <=)
@.data[0].value[1]: a value must not be empty
@.data[0].value[0]: \"x\" is no number (digits with a dot or exponent, as in 50.0 or 1e3)
@.data[1].comparator: a string has no order (= or !=; type number compares by size)
@.data[1].value[0]: \"(?=a)\" is no regular expression: look-around is not supported
@.data[2].type: unknown type \"strng\" (did you mean \"string\"? known: string, number, bool)
@.data[3].value[0]: \"yes\" is no bool (true or false)
@.data[4].value[0]: NaN equals no number, not even itself
@.data[5].value: at least one value is needed",
    );
    check(
        json!({"exprs": [{"expr": "a", "fields": []}], "context": {}}),
        None,
        "@.exprs[0].fields: at least one field is needed (a name for the expression, and its path in the data)
@.exprs[0].expr: no field is named \"a\", at column 1
  a
  ^ (nothing is known here)
@.context: one of type, subject, source and datacontenttype is needed",
    );
    check(
        json!({"time": {"start": "9:00", "stop": "25:00:00", "timezone": "+02:00"}, "dataLogicalOperator": "OR"}),
        None,
        "@.dataLogicalOperator: unknown operator \"OR\" (and, or; in lower case)
@.time.start: \"9:00\" is no time of day (write HH:MM:SS, as in 09:30:00)
@.time.stop: \"25:00:00\" is no time of day (write HH:MM:SS, as in 09:30:00)
@.time.timezone: \"+02:00\" is no time zone (write a name of the IANA database, as in Europe/Berlin; offsets are none)",
    );
    check(
        json!([{"exact": {"Type": "x", "subject": "", "data": "x"}}, {"any": []}, {"cesql": "TRUE ="}, {"prefix": {}}]),
        None,
        "@[0].exact.Type: \"Type\" is no attribute name (lower-case letters and digits, beginning with a letter)
@[0].exact.data: data is no attribute (filters: {data: [...]} looks into the payload)
@[0].exact.subject: an empty text fits everything (remove it, or write the text)
@[1].any: an empty list says nothing (remove it, or write at least one filter)
@[2].cesql: expected a value, found the end at column 7
  TRUE =
        ^
@[3].prefix: an empty list says nothing (remove it, or write at least one filter)",
    );
    check(
        json!({"dta": []}),
        None,
        "@.dta: unknown field \"dta\" (did you mean \"data\"? known: data, dataLogicalOperator, exprs, exprLogicalOperator, context, time, script, cel, attributes)",
    );
    let operator = "spec.eventSources[0].filtersLogicalOperator";
    check(
        json!({}),
        Some("or"),
        &format!("{operator}: or between no filters lets nothing pass (write and, or leave it out)"),
    );
    check(json!({}), Some("xor"), &format!("{operator}: unknown operator \"xor\" (and, or; in lower case)"));
}

#[test]
fn an_explanation_shows_every_value_seen() {
    let filters = json!({
        "data": [{"path": "total", "type": "number", "comparator": ">", "value": ["50.0"]}],
        "context": {"type": "x"}
    });
    let filter = compile(filters, Some("or")).unwrap();
    let event = order().data(Data::Text(r#"{"total": 42}"#)).build().unwrap();
    assert_eq!(
        filter.explain(&event, Values::Shown),
        "no: any of\n  no: data total is 42, wanted number > 50.0\n  \
         no: attribute type is \"com.shop.order\", wanted exactly \"x\""
    );
    assert_eq!(Filter::pass().explain(&event, Values::Shown), "yes: no filter");
}

#[test]
fn a_redacted_explanation_tells_what_values_are_but_not_which() {
    let payload = r#"{"text": "private", "number": 42, "yes": true, "no": false, "nothing": null, "list": [1], "object": {"a": 1}}"#;
    let event = order().data(Data::Text(payload)).build().unwrap();
    let check = |path: &str, seen: &str| {
        let filter = compile(data(path, "string", "=", &["x"]), None).unwrap();
        let explanation = filter.explain(&event, Values::Redacted);
        assert!(explanation.contains(&format!("data {path} is {seen}, wanted string = x")), "{explanation}");
    };
    check("text", "text of 9 bytes");
    check("number", "a number of 2 bytes");
    check("yes", "true or false");
    check("no", "true or false");
    check("nothing", "null");
    check("list", "a list of 3 bytes");
    check("object", "an object of 8 bytes");
    let filter = compile(json!({"context": {"type": "x"}}), None).unwrap();
    assert!(filter.explain(&event, Values::Redacted).contains("attribute type is \"com.shop.order\""));
}

/// Verdicts by a leaf that is known: type `com.shop.order` is yes, another no, a missing path an error.
fn tree() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![Just("yes"), Just("no"), Just("error")].prop_map(|kind| match kind {
        "error" => Expression::Time(match compile(json!({"time": {"start": "00:00:00", "stop": "01:00:00"}}), None) {
            Ok(Filter(Expression::Time(span))) => span,
            other => panic!("{other:?}"),
        }),
        kind => {
            let text = if kind == "yes" { "t" } else { "other" };
            Expression::Attribute(AttributeTest::new("type", Want::Equal(text.into())))
        }
    });
    leaf.prop_recursive(4, 32, 4, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 0..4).prop_map(Expression::All),
            prop::collection::vec(part.clone(), 0..4).prop_map(Expression::Any),
            part.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

#[test]
fn a_script_judges_the_data_and_tells_why_it_cannot() {
    let script = |text: &str| json!({"script": text});
    let shop = |payload| order().data(Data::Text(payload));
    let error = Verdict::Error;
    for (text, payload, expected) in [
        ("return event.total > 40", r#"{"total": 42}"#, Verdict::Yes),
        ("return event.total > 40", r#"{"total": 4}"#, Verdict::No),
        ("return event.total", r#"{"total": 4}"#, error(Cause::NotBool)),
        ("return event.total > 40", "{}", error(Cause::Script)),
        ("while true do end", "{}", error(Cause::TooCostly)),
        ("return true", "[]", error(Cause::WrongType)),
        ("return true", "{", error(Cause::NotJson)),
    ] {
        assert_eq!(judge(script(text), None, &shop(payload)), expected, "{text} {payload}");
    }
    assert_eq!(judge(script("return false"), None, &order()), Verdict::Yes);
    assert_eq!(
        compile(script("if event.a then\n  retrun true\nend"), None).unwrap_err(),
        "spec.eventSources[0].filters.script: '=' expected near 'true' in line 2"
    );
    let filter = compile(script("return event.total > 40"), None).unwrap();
    let explained = |payload, values| filter.explain(&shop(payload).build().unwrap(), values);
    assert_eq!(
        explained(r#"{"total": "much"}"#, Values::Shown),
        "error script: script return event.total > 40, where event is {\"total\": \"much\"}; \
         it failed: script:1: attempt to compare number with string"
    );
    assert_eq!(
        explained(r#"{"total": "much"}"#, Values::Redacted),
        "error script: script return event.total > 40, where event is an object of 17 bytes; it failed"
    );
}

/// Kleene's tables as minimum and maximum over no < error < yes.
fn naive(expression: &Expression) -> u8 {
    match expression {
        Expression::All(parts) => parts.iter().map(naive).min().unwrap_or(2),
        Expression::Any(parts) => parts.iter().map(naive).max().unwrap_or(0),
        Expression::Not(part) => 2 - naive(part),
        Expression::Attribute(test) => {
            if test.want == Want::Equal("t".into()) {
                2
            } else {
                0
            }
        }
        Expression::Time(_)
        | Expression::Data(_)
        | Expression::Cesql(_)
        | Expression::Expr(_)
        | Expression::Script(_)
        | Expression::Cel(_) => 1,
    }
}

proptest! {
    #[test]
    fn verdicts_follow_kleene(expression in tree()) {
        let event = Draft::new("1", "s", "t").build().unwrap();
        let found = match Filter(expression.clone()).evaluate(&event) {
            Verdict::No => 0,
            Verdict::Error(_) => 1,
            Verdict::Yes => 2,
        };
        prop_assert_eq!(found, naive(&expression));
    }
}
