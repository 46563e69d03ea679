use serde_json::json;

use super::*;
use crate::api::crd;

/// Walks the spec of a kind: what is found, and what is left.
fn walk_spec(kind: &str, spec: Json) -> (String, Walked) {
    let mut problems = Problems::new();
    let walked = walk(spec, crd::spec_schema(kind).unwrap(), &FieldPath::root().field("spec"), &mut problems);
    (problems.to_string(), walked)
}

#[test]
fn everything_wrong_is_found_at_once() {
    let check = |kind: &str, spec: Json, expected: &[&str]| {
        let (found, _) = walk_spec(kind, spec.clone());
        let found: Vec<&str> = found.lines().map(|line| line.split(" (known").next().unwrap_or(line)).collect();
        assert_eq!(found, expected, "{spec}");
    };
    check("EventSource", json!({"kafka": {"a": {"url": "h:1", "topic": "t"}}}), &[]);
    check("EventSource", json!([]), &["spec: expected an object, found a list"]);
    check(
        "EventSource",
        json!({"logLevel": 5, "kafka": {"a": 5, "b": {"topic": "t", "partition": "x", "jsonBody": "yes"}}}),
        &[
            "spec.logLevel: expected text, found a number (quote it: \"5\")",
            "spec.kafka.a: expected an object, found a number",
            "spec.kafka.b.partition: expected a whole number, found text",
            "spec.kafka.b.jsonBody: expected true or false, found text",
        ],
    );
    check(
        "EventSource",
        json!({"sink": {"ref": {"kind": "Service", "nam": "x"}}}),
        &[
            "spec.sink.ref.nam: unknown field \"nam\" (did you mean \"name\"? known: apiVersion, kind, name, namespace)",
            "spec.sink.ref.apiVersion: required (text) and missing",
            "spec.sink.ref.name: required (text) and missing",
        ],
    );
    check(
        "EventSource",
        json!({"http": {"a": null}}),
        &["spec.http.a: expected an object, found nothing (an object without settings is {})"],
    );
    check(
        "EventSource",
        json!({"http": {"a": {"port": 70000}}}),
        &["spec.http.a.port: 70000 is not in the range 0 to 65535"],
    );
    check(
        "EventSource",
        json!({"http": {"a": {"port": 80.5}}}),
        &["spec.http.a.port: expected a whole number, found a number"],
    );
    check(
        "EventSource",
        json!({"kafka": {"a": {"partition": 3_000_000_000_u64}}}),
        &["spec.kafka.a.partition: 3000000000 is not in the range -2147483648 to 2147483647"],
    );
    check(
        "EventSource",
        json!({"kafka": {"a": {"connectionBackoff": {"duration": true, "steps": -1}}}}),
        &[
            "spec.kafka.a.connectionBackoff.duration: expected text or a whole number, found true or false",
            "spec.kafka.a.connectionBackoff.steps: -1 is not in the range 0 to 4294967295",
        ],
    );
    check(
        "Trigger",
        json!({"subscribers": {}, "eventSources": [5, {"name": "a"}]}),
        &[
            "spec.subscribers: expected a list, found an object",
            "spec.eventSources[0]: expected an object, found a number",
            "spec.eventSources[1].eventName: required (text) and missing",
            "spec.eventSources[1].eventSourceName: required (text) and missing",
        ],
    );
}

#[test]
fn words_of_an_enumeration_are_checked() {
    let schema = json!({"type": "object", "properties": {"mode": {"type": "string", "enum": ["fast", "safe"]}}});
    let mut problems = Problems::new();
    let walked = walk(json!({"mode": "sefe"}), &schema, &FieldPath::root(), &mut problems);
    assert_eq!(problems.to_string(), "mode: unknown value \"sefe\" (did you mean \"safe\"? known: fast, safe)");
    assert_eq!(walked.value, json!({"mode": "fast"}));
}

#[test]
fn a_repaired_value_keeps_its_places_and_can_be_read() {
    let spec = json!({"eventSources": [5, {"name": "a", "filters": {"anything": [1]}}], "subscribers": [null], "template": {"x": 1}});
    let (_, walked) = walk_spec("Trigger", spec);
    let empty = json!({"name": "", "eventSourceName": "", "eventName": ""});
    assert_eq!(walked.value["eventSources"][0], empty);
    assert_eq!(walked.value["eventSources"][1]["filters"], json!({"anything": [1]}));
    assert_eq!(walked.value["template"], json!({"x": 1}));
    let repaired: Vec<&str> = walked.repaired.iter().map(FieldPath::as_str).collect();
    assert_eq!(
        repaired,
        [
            "spec.eventSources[0]",
            "spec.eventSources[1].eventName",
            "spec.eventSources[1].eventSourceName",
            "spec.subscribers[0]"
        ]
    );
    let spec: crate::api::trigger::TriggerSpec = serde_json::from_value(walked.value).unwrap();
    assert_eq!(spec.event_sources.unwrap().len(), 2);
}

/// Whatever JSON comes in: what comes out has the shape of the raw type, of every kind.
#[test]
fn whatever_is_walked_can_be_read() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut refused = 0;
    for _ in 0..300 {
        for kind in crd::KINDS {
            let schema = crd::spec_schema(kind).unwrap();
            let (found, walked) = walk_spec(kind, guess(schema, &mut random, 0));
            refused += usize::from(!found.is_empty());
            let read = match kind {
                "EventSource" => {
                    serde_json::from_value::<crate::api::event_source::EventSourceSpec>(walked.value).err()
                }
                "EventBus" => serde_json::from_value::<crate::api::event_bus::EventBusSpec>(walked.value).err(),
                "ClusterEventBus" => {
                    serde_json::from_value::<crate::api::event_bus::ClusterEventBusSpec>(walked.value).err()
                }
                _ => serde_json::from_value::<crate::api::trigger::TriggerSpec>(walked.value).err(),
            };
            assert!(read.is_none(), "{kind}: {read:?}");
        }
    }
    assert!(refused > 300, "the guesses were too good: {refused}");
}

/// A value that is nearly right.
fn guess(schema: &Json, random: &mut fastrand::Rng, depth: usize) -> Json {
    let odd = [
        json!(null),
        json!(true),
        json!("10s"),
        json!(-7),
        json!(1.5),
        json!([1, "a"]),
        json!({"a": {}}),
        json!(u64::MAX),
    ];
    if random.u8(0..12) == 0 || depth > 12 {
        return odd[random.usize(0..odd.len())].clone();
    }
    match type_of(schema) {
        "object" => {
            let mut members = Map::new();
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                if random.u8(0..3) > 0 {
                    members.insert(name.clone(), guess(schema, random, depth + 1));
                }
            }
            if schema["additionalProperties"].is_object() {
                members.insert("some".to_owned(), guess(&schema["additionalProperties"], random, depth + 1));
            }
            if random.u8(0..9) == 0 {
                members.insert("surprise".to_owned(), json!(1));
            }
            Json::Object(members)
        }
        "array" => (0..random.usize(0..3)).map(|_| guess(&schema["items"], random, depth + 1)).collect(),
        "string" => json!("text"),
        "integer" => json!(random.i64(-2..300)),
        "number" => json!(random.f64()),
        "boolean" => json!(random.bool()),
        _ => odd[random.usize(0..odd.len())].clone(),
    }
}
