use serde_json::json;

use super::*;

fn parse(value: &Value) -> (Filters, String) {
    let mut problems = Problems::new();
    let filters = Filters::parse(value, &FieldPath::root().field("filters"), &mut problems);
    (filters, problems.to_string())
}

#[test]
fn a_mapping_and_a_sequence_are_read_and_written_back_the_same() {
    let check = |value: Value| {
        let (filters, problems) = parse(&value);
        assert_eq!(problems, "");
        assert!(!matches!(filters, Filters::Malformed(_)));
        assert_eq!(serde_json::to_value(&filters).unwrap(), value);
        assert_eq!(serde_json::from_value::<Filters>(value).unwrap(), filters);
    };
    check(json!({}));
    check(json!({
        "data": [{"path": "body.total", "type": "number", "comparator": ">", "value": ["50.0"]}],
        "dataLogicalOperator": "or",
        "exprs": [{"expr": "a > 1", "fields": [{"name": "a", "path": "x.a"}]}],
        "exprLogicalOperator": "and",
        "context": {"type": "t", "source": "s"},
        "time": {"start": "09:00:00", "stop": "17:00:00", "timezone": "Europe/Berlin"},
        "script": "return true",
        "cel": "true",
        "attributes": {"type": "bank.paid"}
    }));
    check(json!([]));
    check(json!([{}, {"exact": {"type": "t"}}, {"not": {"any": [{"prefix": {"subject": "a"}}, {"cesql": "TRUE"}]}}]));
}

#[test]
fn sql_keeps_its_own_name() {
    assert_eq!(parse(&json!([{"sql": "TRUE"}])).0, Filters::Dialects(vec![Dialect::Sql("TRUE".into())]));
}

#[test]
fn every_slip_is_reported_with_its_path_and_the_alternatives() {
    let check = |value: Value, expected: &[&str]| {
        let (filters, problems) = parse(&value);
        assert_eq!(problems.lines().collect::<Vec<_>>(), expected);
        assert_eq!(filters, Filters::Malformed(value));
    };
    check(
        json!({"data": [{"pth": "a", "type": 3, "value": "x"}, 7], "dta": []}),
        &[
            "filters.dta: unknown field \"dta\" (did you mean \"data\"? known: data, dataLogicalOperator, exprs, exprLogicalOperator, context, time, script, cel, attributes)",
            "filters.data[0].pth: unknown field \"pth\" (did you mean \"path\"? known: path, type, comparator, value, template)",
            "filters.data[0].value: expected a list, found text (write [..], or one item a line)",
            "filters.data[0].path: required (text) and missing",
            "filters.data[0].type: expected text, found a number (quote it: \"3\")",
            "filters.data[1]: expected an object, found a number (its members: path, type, comparator, value, template)",
        ],
    );
    check(
        json!({"data": [{"path": "a", "type": "number", "value": [50.0, null]}]}),
        &[
            "filters.data[0].value[0]: expected text, found a number (quote it: \"50.0\")",
            "filters.data[0].value[1]: expected text, found nothing",
        ],
    );
    check(
        json!([{"exact": {"type": "t"}, "prefix": {"type": "t"}}, {"not": {}}, {"all": [{"exakt": {}}]}]),
        &[
            "filters[0]: a filter has exactly one dialect, found exact, prefix (write each as an object of its own, inside all or any)",
            "filters[1].not: an empty filter inside another one (one of all, any, not, exact, prefix, suffix, cesql, sql)",
            "filters[2].all[0].exakt: unknown field \"exakt\" (did you mean \"exact\"? known: all, any, not, exact, prefix, suffix, cesql, sql)",
        ],
    );
    check(
        json!("x"),
        &[
            "filters: expected a mapping or a sequence of filters, found text (a mapping has data, dataLogicalOperator, exprs, exprLogicalOperator, context, time, script, cel, attributes; a sequence has objects with one of all, any, not, exact, prefix, suffix, cesql, sql)",
        ],
    );
}

#[test]
fn a_dialect_in_a_mapping_is_pointed_to_the_sequence() {
    let (_, problems) = parse(&json!({"exact": {"type": "t"}}));
    assert!(problems.contains("filters: \"exact\" belongs into a sequence of filters (write filters: [{exact: ...}])"));
}

#[test]
fn nesting_is_bounded() {
    let mut value = json!({"exact": {"type": "t"}});
    for _ in 0..read::MAX_DEPTH {
        value = json!({"not": value});
    }
    let (_, problems) = parse(&json!([value]));
    assert!(problems.ends_with("filters are nested more than 32 deep"), "{problems}");
}

#[test]
fn the_schema_keeps_whatever_is_written() {
    let schema = schemars::schema_for!(Filters);
    assert_eq!(schema.get("x-kubernetes-preserve-unknown-fields"), Some(&json!(true)));
    assert_eq!(schema.get("type"), None);
}
