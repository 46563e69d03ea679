use serde_json::{Value as Json, json};

use super::*;
use crate::event::Draft;

fn compile(specs: Json, names: &[&str]) -> Result<Body, String> {
    let specs: Vec<ParameterSpec> = serde_json::from_value(specs).unwrap();
    let mut problems = Problems::new();
    let body = Body::compile(&specs, names, &FieldPath::root().field("parameters"), &mut problems);
    if problems.is_empty() { Ok(body.unwrap()) } else { Err(problems.to_string()) }
}

const DATA: &str = r#"{"id":7,"total":50.0,"big":12345678901234567890,"name":"Kai \"K\"","nul":null,"tags":["a","b"],
    "ship":{"to":"DE"},"yes":true}"#;

fn order() -> Event {
    Draft::new("42", "/shop", "com.shop.order")
        .with("datacontenttype", "application/json")
        .with("dataschema", "http://schema/")
        .with("subject", "orders/7")
        .with("priority", 3)
        .data(Data::Text(DATA))
        .build()
        .unwrap()
}

/// What is built of one event that the input `a` accepted.
fn built(specs: Json) -> Result<String, String> {
    let event = compile(specs, &["a", "b"])?.build(&order(), Some("a"))?;
    assert_eq!((event.id(), event.source(), event.ty()), ("42", "/shop", "com.shop.order"));
    Ok(String::from_utf8(event.data_bytes().unwrap().to_vec()).unwrap())
}

fn from(src: Json, dest: &str) -> Json {
    let mut src = src;
    src["dependencyName"] = "a".into();
    json!({"src": src, "dest": dest})
}

#[test]
fn values_come_from_keys_templates_attributes_and_defaults() {
    let check = |src: Json, expected: &str| {
        let shown = src.to_string();
        assert_eq!(built(json!([from(src, "x")])).as_deref(), Ok(format!("{{\"x\":{expected}}}").as_str()), "{shown}");
    };
    check(json!({"dataKey": "name"}), r#""Kai \"K\"""#);
    check(json!({"dataKey": "id"}), r#""7""#);
    check(json!({"dataKey": "total"}), r#""50""#);
    check(json!({"dataKey": "nul"}), r#""null""#);
    check(json!({"dataKey": "tags"}), r#""[\"a\",\"b\"]""#);
    check(json!({"dataKey": "id", "useRawData": true}), "7");
    check(json!({"dataKey": "total", "useRawData": true}), "50.0");
    check(json!({"dataKey": "big", "useRawData": true}), "12345678901234567890");
    check(json!({"dataKey": "tags", "useRawData": true}), r#"["a","b"]"#);
    check(json!({"dataKey": "nul", "useRawData": true}), "null");
    check(json!({"dataKey": "tags.#", "useRawData": true}), "2");
    check(json!({"dataTemplate": "{{ .Input.name | upper }}-{{ .Input.big }}"}), r#""KAI \"K\"-12345678901234567890""#);
    check(json!({"dataTemplate": "{{ .Input.none }}", "dataKey": "id"}), r#""7""#);
    check(json!({"dataTemplate": "{{ .Input.none }}", "dataKey": "none", "value": "v"}), r#""v""#);
    check(json!({"contextKey": "type"}), r#""com.shop.order""#);
    check(json!({"contextKey": "priority", "useRawData": true}), "3");
    check(json!({"contextTemplate": "{{ .Input.source }}:{{ .Input.subject }}"}), r#""/shop:orders/7""#);
    check(json!({"value": "constant"}), r#""constant""#);
    check(json!({"dataKey": "", "value": "constant"}), r#""constant""#);
}

#[test]
fn without_a_selector_it_is_the_whole_event() {
    let body = built(json!([from(json!({"useRawData": true}), "event")])).unwrap();
    let body: Json = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["event"]["id"], &body["event"]["data"]["id"]), (&json!("42"), &json!(7)));
    assert_eq!(body["event"]["priority"], json!(3));
    let text = built(json!([from(json!({}), "event")])).unwrap();
    let text: Json = serde_json::from_str(&text).unwrap();
    assert!(text["event"].as_str().unwrap().starts_with("{\"specversion\""), "{text}");
}

#[test]
fn places_are_made_on_the_way() {
    let check = |places: &[&str], expected: &str| {
        let specs = places.iter().map(|place| from(json!({"value": place}), place)).collect::<Vec<_>>();
        assert_eq!(built(specs.into()).as_deref(), Ok(expected));
    };
    check(&["a.b.c"], r#"{"a":{"b":{"c":"a.b.c"}}}"#);
    check(&["a.0", "a.-1", "a.3"], r#"{"a":["a.0","a.-1",null,"a.3"]}"#);
    check(&["a.-1.k"], r#"{"a":[{"k":"a.-1.k"}]}"#);
    check(&["a", "a.b"], r#"{"a":{"b":"a.b"}}"#);
    check(&[r"a\.b"], r#"{"a.b":"a\\.b"}"#);
    check(&["0"], r#"{"0":"0"}"#);
    let inside = json!([
        from(json!({"dataKey": "ship", "useRawData": true}), "ship"),
        from(json!({"value": "x"}), "ship.by"),
        from(json!({"dataKey": "tags", "useRawData": true}), "tags"),
        from(json!({"value": "c"}), "tags.-1"),
    ]);
    assert_eq!(built(inside).as_deref(), Ok(r#"{"ship":{"to":"DE","by":"x"},"tags":["a","b","c"]}"#));
    let error = built(json!([from(json!({"value": ""}), "a.0"), from(json!({"value": ""}), "a.b")])).unwrap_err();
    assert_eq!(error, "parameters[1]: dest: \"b\" is no place in a list");
}

#[test]
fn operations_keep_what_is_there() {
    let check = |operation: &str, expected: &str| {
        let mut second = from(json!({"dataKey": "id", "useRawData": true}), "x");
        second["operation"] = operation.into();
        let first = from(json!({"value": "order "}), "x");
        assert_eq!(built(json!([first, second.clone()])).as_deref(), Ok(expected), "{operation}");
        assert_eq!(built(json!([second])).as_deref(), Ok(r#"{"x":7}"#), "nothing is there: it sets");
    };
    check("append", r#"{"x":"order 7"}"#);
    check("prepend", r#"{"x":"7order "}"#);
    check("overwrite", r#"{"x":7}"#);
    check("", r#"{"x":7}"#);
}

#[test]
fn an_empty_dest_makes_the_value_the_body() {
    let body = |src: Json| {
        let event = compile(json!([from(src, "")]), &["a"]).unwrap().build(&order(), None).unwrap();
        let text = String::from_utf8(event.data_bytes().unwrap().to_vec()).unwrap();
        assert_eq!(event.attribute("dataschema"), None, "the schema was that of other data");
        (text, event.data_content_type().unwrap().to_owned())
    };
    assert_eq!(body(json!({"dataKey": "name"})), ("Kai \"K\"".to_owned(), "text/plain; charset=utf-8".to_owned()));
    let (json, raw) = ("application/json".to_owned(), json!({"dataKey": "ship", "useRawData": true}));
    assert_eq!(body(raw), (r#"{"to":"DE"}"#.to_owned(), json.clone()));
    assert_eq!(body(json!({"dataTemplate": "{\"n\": {{ .Input.id }}}"})), ("{\"n\": 7}".to_owned(), json));
}

#[test]
fn of_several_events_each_parameter_sees_its_own() {
    let member = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"n":1}}"#;
    let encoded = data_encoding::BASE64.encode(b"{\"n\": 2}");
    let other = format!(r#"{{"specversion":"1.0","id":"2","source":"/s","type":"u","data_base64":"{encoded}"}}"#);
    let data = format!(r#"{{"a":{member},"b":{other}}}"#);
    let joined = Draft::new("j", "/triggers/t", "joined").data(Data::Text(&data)).build().unwrap();
    let specs = json!([
        {"src": {"dependencyName": "a", "dataKey": "n", "useRawData": true}, "dest": "a"},
        {"src": {"dependencyName": "b", "dataTemplate": "{{ .Input.n }}"}, "dest": "b"},
        {"src": {"dependencyName": "b", "contextKey": "type"}, "dest": "type"},
        {"src": {"dependencyName": "c", "dataKey": "n"}, "dest": "skipped"},
        {"src": {"dependencyName": "c", "dataKey": "n", "value": "none"}, "dest": "c"}
    ]);
    let event = compile(specs, &["a", "b", "c"]).unwrap().build(&joined, None).unwrap();
    assert_eq!(event.data(), Some(Data::Text(r#"{"a":1,"b":"2","type":"u","c":"none"}"#)));
}

#[test]
fn what_has_no_value_is_an_error_that_names_the_parameter() {
    let check = |src: Json, expected: &str| {
        assert_eq!(built(json!([from(json!({"value": "v"}), "ok"), from(src, "x")])).unwrap_err(), expected);
    };
    check(json!({"dataKey": "none"}), "parameters[1]: there is no value: \"none\" finds nothing");
    check(
        json!({"dataTemplate": "{{ .Input.none }}"}),
        "parameters[1]: there is no value: the template: it makes nothing",
    );
    check(
        json!({"dataTemplate": "{{ range .Input.tags }}{{ repeat 600000 . }}{{ end }}"}),
        "parameters[1]: there is no value: the template: it meets a limit",
    );
    let text = Draft::new("1", "/s", "t").data(Data::Text("no json")).build().unwrap();
    let body = compile(json!([from(json!({"dataKey": "a"}), "x")]), &["a"]).unwrap();
    assert_eq!(body.build(&text, None).unwrap_err(), "parameters[0]: there is no value: the data is no JSON");
    let large: Vec<Json> =
        (0..5).map(|n| from(json!({"dataTemplate": "{{ repeat 250000 \"x\" }}"}), &format!("x{n}"))).collect();
    let error = built(large.into()).unwrap_err();
    assert!(error.starts_with("the body has 12"), "{error}");
}

#[test]
fn wrong_parameters_are_refused() {
    let check = |specs: Json, expected: &[&str]| {
        let found = compile(specs, &["a"]).unwrap_err();
        assert_eq!(found.lines().take(expected.len()).collect::<Vec<_>>(), expected);
    };
    check(
        json!([{"src": {"dependencyName": "z", "dataKey": "$.a"}, "dest": "a..b", "operation": "add"}]),
        &[
            "parameters[0].src.dependencyName: no input is named \"z\" (known: a)",
            "parameters[0].src.dataKey: this is JSONPath, which is not understood (write the keys with dots, as in \"a\"; \
             a key that begins with $ is written \\$)",
            "parameters[0].dest: \"a..b\" has an empty key",
            "parameters[0].operation: unknown value \"add\" (known: overwrite, append, prepend)",
        ],
    );
    check(
        json!([from(json!({"value": "v"}), ""), from(json!({"value": "v"}), "a.1001")]),
        &[
            "parameters[0].dest: must not be empty beside other parameters (an empty dest makes its value the whole body: \
             it stands alone)",
            "parameters[1].dest: the index 1001 is higher than 1000",
        ],
    );
    check(
        json!([from(json!({"dataTemplate": "{{ .Input.a | uper }}"}), "x")]),
        &["parameters[0].src.dataTemplate: unknown function \"uper\" at column 15", "  {{ .Input.a | uper }}"],
    );
}

/// What is built of a batch of matches, each of events (their ids and data) by their inputs.
fn gathered(specs: Json, gathered: Gathered, matches: &Json) -> Result<String, String> {
    let members =
        matches.as_array().unwrap().iter().map(|found| json!({"type": JOINED_TYPE, "id": "m", "data": found}));
    let data = Json::from(members.collect::<Vec<_>>()).to_string();
    let draft = Draft::new("2-x", "/triggers/t", BATCH_TYPE).with("datacontenttype", "application/json");
    let batch = draft.data(Data::Text(&data)).build().unwrap();
    let body = compile(specs, &["a", "b"])?.of_batches(gathered);
    let event = body.build(&batch, None)?;
    assert_eq!((event.id(), event.ty()), ("2-x", BATCH_TYPE));
    Ok(String::from_utf8(event.data_bytes().unwrap().to_vec()).unwrap())
}

#[test]
fn of_a_batch_a_parameter_sees_all_events_of_its_input_or_the_last() {
    let matches = || {
        let event = |id: &str, data: Json| json!({"id": id, "subject": format!("s-{id}"), "data": data});
        json!([
            {"a": event("1", json!({"n": 1, "tags": ["x"]})), "b": event("2", json!({"n": 2}))},
            {"b": {"id": "3", "data_base64": data_encoding::BASE64.encode(b"{\"n\": 3}")}},
            {"a": event("4", json!({"n": 4}))},
            {"b": {"id": "5"}},
        ])
    };
    let check = |payload: Gathered, src: Json, expected: &str| {
        let shown = src.to_string();
        assert_eq!(gathered(json!([from(src, "x")]), payload, &matches()).as_deref(), Ok(expected), "{shown}");
    };
    let (all, last) = (Gathered::All, Gathered::Last);
    check(all, json!({"dataKey": "0.n", "useRawData": true}), r#"{"x":1}"#);
    check(all, json!({"dataKey": "1.n"}), r#"{"x":"4"}"#);
    check(all, json!({"dataKey": "#.n", "useRawData": true}), r#"{"x":[1,4]}"#);
    check(all, json!({"dataKey": "2.n", "value": "none"}), r#"{"x":"none"}"#);
    check(all, json!({"dataTemplate": "{{ len .Input }}: {{ range .Input }}{{ .n }};{{ end }}"}), r#"{"x":"2: 1;4;"}"#);
    check(all, json!({"contextKey": "#.subject", "useRawData": true}), r#"{"x":["s-1","s-4"]}"#);
    check(last, json!({"dataKey": "n", "useRawData": true}), r#"{"x":4}"#);
    check(last, json!({"contextTemplate": "{{ .Input.subject }}"}), r#"{"x":"s-4"}"#);
    let of_b = |src: Json| {
        let mut src = src;
        src["dependencyName"] = "b".into();
        gathered(json!([{"src": src, "dest": ""}]), Gathered::All, &matches()).unwrap()
    };
    assert_eq!(of_b(json!({"dataKey": "#.n", "useRawData": true})), "[2,3]");
    assert_eq!(of_b(json!({"dataTemplate": "{{ len .Input }}"})), "3", "one without data is there, too");
    let whole: Json = serde_json::from_str(&of_b(json!({"useRawData": true}))).unwrap();
    assert_eq!((&whole[0]["subject"], &whole[2]), (&json!("s-2"), &json!({"id": "5"})));
    // An input of which nothing was gathered has its default, or is skipped.
    let none = gathered(json!([from(json!({"dataKey": "n"}), "x")]), all, &json!([{"b": {"id": "1"}}]));
    assert_eq!(none.as_deref(), Ok("{}"));
    let old = gathered(json!([from(json!({"dataKey": "n"}), "x")]), all, &json!(["no match"]));
    assert_eq!(old.as_deref(), Ok("{}"), "a match without events has none");
}

#[test]
fn what_was_gathered_without_parameters_is_refused_and_so_not_lost() {
    let body = compile(json!([from(json!({"dataKey": "id"}), "x")]), &["a", "b"]).unwrap().of_batches(Gathered::All);
    let draft = Draft::new("1-x", "/triggers/t", BATCH_TYPE).with("datacontenttype", "application/json");
    let batch = draft.data(Data::Text(r#"[{"id":"1","type":"t","data":{"n":1}}]"#)).build().unwrap();
    let refused = body.build(&batch, None).unwrap_err();
    assert!(refused.contains("gathered before it had parameters"), "{refused}");
    // What was put to be delivered before there were batches is seen as it always was.
    assert_eq!(body.build(&order(), Some("a")).unwrap().data_bytes().unwrap(), r#"{"x":"7"}"#.as_bytes());
}
