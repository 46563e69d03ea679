use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::filter::Filters;
use crate::api::{FieldPath, Problems};
use crate::event::{Data, Draft};

fn filter(filters: &Value) -> Filter {
    let mut problems = Problems::new();
    let raw: Filters = serde_json::from_value(filters.clone()).unwrap();
    let filter = Filter::compile(&raw, None, &FieldPath::root(), &mut problems);
    assert_eq!(problems.to_string(), "");
    filter
}

fn matched<K: Copy>(matcher: &Matcher<K>, event: &Event) -> Vec<K> {
    let mut out = Vec::new();
    matcher.matches(event, |key| out.push(*key), |_, _| {});
    out
}

fn event(ty: &str, subject: Option<&str>, payload: Option<&str>) -> Event {
    let mut draft = Draft::new("1", "/shop", ty.to_owned());
    if let Some(subject) = subject {
        draft = draft.with("subject", subject.to_owned());
    }
    if let Some(payload) = payload {
        draft = draft.data(Data::Text(payload));
    }
    draft.build().unwrap()
}

fn leaf() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(vec!["a", "ab", "abc", "b", "é", "1", "2.5"]);
    let path = || prop::sample::select(vec!["n", "s", "list.#", "gone"]);
    let comparator = || prop::sample::select(vec!["=", "!=", ">", ">=", "<", "<="]);
    let number = || prop::sample::select(vec!["0", "-0", "1", "2", "2.5", "1e3"]);
    let values = |value: BoxedStrategy<&'static str>| prop::collection::vec(value, 1..3);
    let data = |item: Value| json!({"data": [item]});
    prop_oneof![
        (prop::sample::select(vec!["exact", "prefix", "suffix"]), text())
            .prop_map(|(kind, text)| { json!([{kind: {"type": text}}]) }),
        (text(), text())
            .prop_map(|(one, other)| json!([{"any": [{"exact": {"subject": one}}, {"prefix": {"type": other}}]}])),
        text().prop_map(|text| json!([{"not": {"exact": {"type": text}}}])),
        (path(), comparator(), values(number().boxed())).prop_map(move |(path, comparator, value)| {
            data(json!({"path": path, "type": "number", "comparator": comparator, "value": value}))
        }),
        (path(), prop::sample::select(vec!["a{{ .Input }}", "{{ .Input }}", "{{ upper .Input }}"])).prop_map(
            move |(path, template)| {
                data(json!({"path": path, "type": "string", "value": ["a"], "template": template}))
            }
        ),
        (path(), prop::bool::ANY, values(text().boxed())).prop_map(move |(path, negated, value)| {
            let comparator = if negated { "!=" } else { "=" };
            data(json!({"path": path, "type": "string", "comparator": comparator, "value": value}))
        }),
        (text(), number()).prop_map(|(text, number)| {
            json!({
                "context": {"type": text},
                "data": [
                    {"path": "n", "type": "number", "comparator": ">", "value": [number]},
                    {"path": "s", "type": "string", "value": ["^a"]},
                ],
                "dataLogicalOperator": "or"
            })
        }),
        (path(), text(), -1..3).prop_map(|(path, text, number)| {
            let fields = json!([{"name": "x", "path": path}]);
            json!({"exprs": [{"expr": format!("x > {number} || x == '{text}'"), "fields": fields}]})
        }),
        cesql().prop_map(|text| json!([{"cesql": text}])),
        (cesql(), text())
            .prop_map(|(cesql, text)| json!([{"any": [{"not": {"cesql": cesql}}, {"exact": {"type": text}}]}])),
        Just(json!({})),
    ]
}

/// Expressions, many of them with a part that can be looked up.
fn cesql() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["type", "subject", "n", "flag", "gone"]);
    let text = || prop::sample::select(vec!["a", "ab", "1", "01", "true", "é", "", "b%", "%b", "a%c", "_", "a_", "%"]);
    let part = prop_oneof![
        (name(), prop::sample::select(vec!["=", "!=", "LIKE", "NOT LIKE"]), text())
            .prop_map(|(name, operator, text)| format!("{name} {operator} '{text}'")),
        (name(), text(), text()).prop_map(|(name, one, other)| format!("{name} IN ('{one}', '{other}')")),
        name().prop_map(|name| format!("EXISTS {name}")),
        name().prop_map(|name| format!("{name} > 0")),
        Just("TRUE".to_owned()),
    ];
    part.prop_recursive(3, 8, 2, |part| {
        prop_oneof![
            (part.clone(), prop::sample::select(vec!["AND", "OR", "XOR"]), part.clone())
                .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            part.prop_map(|part| format!("NOT ({part})")),
        ]
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let text = || prop::sample::select(vec!["a", "ab", "abc", "b", "ba", "é", "xé", "1"]);
    let payload = prop_oneof![
        Just(None),
        Just(Some("not json".to_owned())),
        (prop::sample::select(vec!["0", "-0.0", "1", "2.5", "3", "1e3", "\"2\"", "\"x\"", "null"]), text())
            .prop_map(|(number, text)| Some(format!("{{\"n\": {number}, \"s\": \"{text}\", \"list\": [1, 2]}}"))),
    ];
    let extensions = (prop::option::of(-1..2), prop::option::of(prop::bool::ANY));
    (text(), prop::option::of(text()), payload, extensions).prop_map(|(ty, subject, payload, (n, flag))| {
        let event = event(ty, subject, payload.as_deref());
        let mut draft = event.draft();
        if let Some(n) = n {
            draft = draft.with("n", n);
        }
        if let Some(flag) = flag {
            draft = draft.with("flag", flag);
        }
        draft.build().unwrap()
    })
}

proptest! {
    #[test]
    fn exactly_the_inputs_whose_filter_says_yes_are_found(
        filters in prop::collection::vec(leaf(), 0..40),
        events in prop::collection::vec(any_event(), 1..8),
    ) {
        let filters: Vec<_> = filters.iter().map(filter).collect();
        let matcher = Matcher::build(filters.iter().cloned().enumerate().collect());
        for event in events {
            let expected: Vec<_> =
                (0..filters.len()).filter(|place| filters[*place].evaluate(&event) == Verdict::Yes).collect();
            prop_assert_eq!(matched(&matcher, &event), expected);
        }
    }
}

#[test]
fn only_filters_whose_key_the_event_has_are_evaluated() {
    let count = |filters: Vec<Value>, event: &Event| {
        let filters: Vec<_> = filters.iter().map(filter).collect();
        let matcher = Matcher::build(filters.into_iter().enumerate().collect());
        let mut candidates = Candidates::new();
        let subject = Subject::with_paths(event, &matcher.paths);
        matcher.index.as_ref().unwrap().candidates(&subject, &matcher.paths, &mut candidates);
        candidates.len()
    };
    let event = event("type-7", None, Some(r#"{"total": 500.5, "bucket": "bucket-7."}"#));
    let data = |kind: &str, comparator: &str, path: &str, value: String| json!({"data": [{"path": path, "type": kind, "comparator": comparator, "value": [value]}]});
    assert_eq!(count((0..1000).map(|n| json!([{"exact": {"type": format!("type-{n}")}}])).collect(), &event), 1);
    assert_eq!(count((0..1000).map(|n| json!({"context": {"type": format!("type-{n}")}})).collect(), &event), 1);
    assert_eq!(count((0..1000).map(|n| json!([{"prefix": {"type": format!("type-{n}")}}])).collect(), &event), 1);
    let cesql = |text: &str| (0..1000).map(|n| json!([{"cesql": text.replace('@', &n.to_string())}])).collect();
    assert_eq!(count(cesql("EXISTS subject AND type = 'type-@'"), &event), 1);
    assert_eq!(count(cesql("type LIKE 'type-@' OR type IN ('a', 'x-@')"), &event), 1);
    assert_eq!(count(cesql("type LIKE '%-@%' AND LENGTH(type) > @"), &event), 1000);
    assert_eq!(count((0..1000).map(|n| data("string", "=", "bucket", format!("bucket-{n}\\."))).collect(), &event), 1);
    assert_eq!(count((0..1000).map(|n| data("number", ">", "total", n.to_string())).collect(), &event), 501);
    assert_eq!(count((0..1000).map(|n| data("number", "<", "total", n.to_string())).collect(), &event), 499);
    assert_eq!(count((0..1000).map(|n| data("number", "=", "total", format!("{n}.5"))).collect(), &event), 1);
    assert_eq!(count((0..1000).map(|n| data("string", "!=", "bucket", n.to_string())).collect(), &event), 1000);
}

#[test]
fn errors_of_evaluated_filters_are_reported() {
    let missing = json!({"data": [{"path": "gone", "type": "number", "value": ["1"]}]});
    let matcher = Matcher::build(vec![("pass", Filter::pass()), ("missing", filter(&missing))]);
    let (mut yes, mut errors) = (Vec::new(), Vec::new());
    let event = event("t", None, Some("{}"));
    matcher.matches(&event, |key| yes.push(*key), |key, cause| errors.push((*key, cause)));
    assert_eq!((yes, errors), (vec!["pass"], vec![("missing", Cause::MissingValue)]));
}
