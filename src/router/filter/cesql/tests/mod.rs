//! Cases of the specification and of its conformance suite, and what is decided here.

mod operators;
mod random;
mod refusals;

use serde_json::{Value as Json, json};

use super::*;
use crate::event::Draft;

/// An event with `attributes` over the required ones.
fn event(attributes: &Json) -> Event {
    let text = |name: &str, other: &str| attributes[name].as_str().unwrap_or(other).to_owned();
    let mut draft = Draft::new(text("id", "1"), text("source", "/shop"), text("type", "com.shop.order"));
    for (name, value) in attributes.as_object().unwrap() {
        draft = match value {
            _ if matches!(name.as_str(), "id" | "source" | "type") => draft,
            Json::String(text) => draft.with(name.clone(), text.clone()),
            Json::Bool(truth) => draft.with(name.clone(), *truth),
            other => draft.with(name.clone(), i32::try_from(other.as_i64().unwrap()).unwrap()),
        };
    }
    draft.build().unwrap()
}

fn evaluate(text: &str, event: &Event) -> Result<Json, Cause> {
    let (compiled, _, warnings) = expression(text).unwrap_or_else(|slip| panic!("{text}: {slip:?}"));
    assert!(warnings.is_empty(), "{text}: {warnings:?}");
    compiled.value(event).map(|value| match value {
        Value::Text(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Truth(truth) => json!(truth),
    })
}

/// What a text is refused or warned of for, without its place.
fn problems(text: &str) -> (String, Vec<String>) {
    let mut problems = Problems::new();
    Cesql::compile(text, &FieldPath::root(), &mut problems);
    let warnings = problems.warnings().iter().map(ToString::to_string).collect();
    (problems.to_string(), warnings)
}

/// Rows of expression and value, over one event.
fn check(attributes: &Json, rows: &[(&str, Json)]) {
    let event = event(attributes);
    for (text, expected) in rows {
        assert_eq!(evaluate(text, &event), Ok(expected.clone()), "{text}");
    }
}

fn check_errors(attributes: &Json, rows: &[(&str, Cause)]) {
    let event = event(attributes);
    for (text, cause) in rows {
        assert_eq!(evaluate(text, &event), Err(*cause), "{text}");
    }
}

/// An event whose attributes keep expressions from being constant.
fn values() -> Json {
    json!({"yes": true, "no": false, "n": 10, "zero": 0, "most": i32::MAX, "least": i32::MIN,
        "text": "Grün & Blau", "numeric": "+42", "word": "TrUe", "subject": "orders/42", "empty": ""})
}

#[test]
fn literals_attributes_and_exists() {
    check(
        &values(),
        &[
            ("tRuE", json!(true)),
            ("-2147483648", json!(i32::MIN)),
            ("+7", json!(7)),
            ("007", json!(7)),
            (r#"'a"b\'c'"#, json!("a\"b'c")),
            (r#""a'b\"c""#, json!("a'b\"c")),
            (r"'a\\b\n'", json!(r"a\\b\n")),
            ("'a\nb'", json!("a\nb")),
            ("SubJect", json!("orders/42")),
            ("source", json!("/shop")),
            ("specversion", json!("1.0")),
            ("yes", json!(true)),
            ("n", json!(10)),
            ("EXISTS subject AND EXISTS ID AND EXISTS specversion", json!(true)),
            ("NOT EXISTS time", json!(true)),
            ("exists empty", json!(true)),
        ],
    );
    check_errors(&values(), &[("gone", Cause::MissingAttribute), ("-gone", Cause::MissingAttribute)]);
}

#[test]
fn functions_count_characters() {
    check(
        &values(),
        &[
            ("LENGTH(text)", json!(11)),
            ("length(yes)", json!(4)),
            ("UPPER(text)", json!("GRÜN & BLAU")),
            ("LOWER('ÀB')", json!("àb")),
            ("TRIM('\u{a0}\u{2003} a \u{b} b\t')", json!("a \u{b} b")),
            ("CONCAT()", json!("")),
            ("CONCAT(n, yes, text)", json!("10trueGrün & Blau")),
            ("CONCAT_WS('-', n, yes)", json!("10-true")),
            ("concat_ws(',')", json!("")),
            ("LEFT(text, 3)", json!("Grü")),
            ("LEFT(text, 99)", json!("Grün & Blau")),
            ("LEFT(n, 0)", json!("")),
            ("RIGHT(LOWER(text), 8)", json!("n & blau")),
            ("RIGHT(text, 99)", json!("Grün & Blau")),
            ("RIGHT(text, 0)", json!("")),
            ("SUBSTRING(text, 3)", json!("ün & Blau")),
            ("SUBSTRING(text, -4, 2)", json!("Bl")),
            ("SUBSTRING(text, 3, 99)", json!("ün & Blau")),
            ("SUBSTRING(text, 3, 0)", json!("")),
            ("SUBSTRING(text, 0)", json!("")),
            ("SUBSTRING(text, -11)", json!("Grün & Blau")),
            ("SUBSTRING(UPPER(text), 11)", json!("U")),
            ("ABS(-n)", json!(10)),
            ("INT(numeric) + INT(yes)", json!(43)),
            ("BOOL(word) AND BOOL(-50)", json!(true)),
            ("STRING(least)", json!("-2147483648")),
        ],
    );
    check_errors(
        &values(),
        &[
            ("LEFT(text, -n)", Cause::Function),
            ("RIGHT(text, -1 * n)", Cause::Function),
            ("SUBSTRING(text, 12)", Cause::Function),
            ("SUBSTRING(text, -12)", Cause::Function),
            ("SUBSTRING(text, least, 1)", Cause::Function),
            ("SUBSTRING(text, 1, -1)", Cause::Function),
            ("INT(text)", Cause::Cast),
            ("BOOL(text)", Cause::Cast),
            ("LEFT(text, text)", Cause::Cast),
            ("LENGTH(gone)", Cause::MissingAttribute),
        ],
    );
}

#[test]
fn an_attribute_alone_must_be_a_truth() {
    let judge = |text: &str| {
        let compiled = Cesql::compile(text, &FieldPath::root(), &mut Problems::new()).unwrap();
        compiled.judge(&Subject::new(&event(&values())))
    };
    assert_eq!(judge("yes"), Verdict::Yes);
    assert_eq!(judge("no"), Verdict::No);
    assert_eq!(judge("n"), Verdict::Error(Cause::NotBool));
    assert_eq!(judge("word"), Verdict::Error(Cause::NotBool));
    assert_eq!(judge("gone"), Verdict::Error(Cause::MissingAttribute));
}

#[test]
fn an_explanation_shows_every_attribute_seen() {
    let text = "type LIKE 'com.%'\n  AND EXISTS subject AND n > 3 OR gone = 'x'";
    let compiled = Cesql::compile(text, &FieldPath::root(), &mut Problems::new()).unwrap();
    assert_eq!(
        compiled.explain(&Subject::new(&event(&values()))),
        "cesql type LIKE 'com.%' AND EXISTS subject AND n > 3 OR gone = 'x', where \
         type is \"com.shop.order\", subject is \"orders/42\", n is \"10\", gone is missing"
    );
}
