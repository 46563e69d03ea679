use serde_json::{Value, json};

use super::*;
use crate::api::ObjectRef;
use crate::event::{Data, Draft};
use crate::router::filter::Verdict;

fn object(reference: Value) -> ObjectRef {
    serde_json::from_value(reference).unwrap()
}

/// The Trigger of the proposal, whole.
#[test]
fn the_trigger_of_the_proposal_is_read_as_it_stands() {
    let knative = |name: &str| json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name, "namespace": "default"});
    let dapr = |name: &str| json!({"apiVersion": "dapr.io/v1alpha1", "kind": "Component", "name": name, "namespace": "default"});
    let (trigger, found) = parse(json!({
        "eventSources": [
            {
                "name": "mqtt", "eventSourceName": "mqtt", "eventName": "example",
                "filters": {"data": [{"path": "body.value", "type": "number", "comparator": ">", "value": ["50.0"]}]}
            },
            {
                "name": "kafka", "eventSourceName": "kafka", "eventName": "example",
                "filters": {"data": [{"path": "bucket", "type": "string", "value": ["func1-input1", "func1-input2"]}]}
            }
        ],
        "subscribers": [
            {
                "condition": "kafka", "ref": knative("knative-func1"),
                "deadLetterSink": {"ref": knative("knative-func2")}
            },
            {
                "condition": "mqtt", "ref": dapr("func2-kafka-input-binding"),
                "deadLetterSink": {"ref": dapr("dead-letter-kafka-pubsub")}
            },
            {"condition": "mqtt || kafka", "ref": dapr("func3-kafka-input-binding")}
        ]
    }));
    assert_eq!(found, [""; 0]);
    let topics: Vec<&str> = trigger.inputs.iter().map(|input| input.topic.as_str()).collect();
    assert_eq!(topics, ["default-mqtt-example", "default-kafka-example"]);
    let verdicts = |data: &str| {
        let event = Draft::new("1", "/test", "test")
            .with("datacontenttype", "application/json")
            .data(Data::Text(data))
            .build()
            .unwrap();
        [trigger.inputs[0].filter.evaluate(&event), trigger.inputs[1].filter.evaluate(&event)]
    };
    assert_eq!(verdicts(r#"{"body": {"value": 50.5}, "bucket": "other"}"#), [Verdict::Yes, Verdict::No]);
    assert_eq!(verdicts(r#"{"body": {"value": 50}, "bucket": "func1-input2"}"#), [Verdict::No, Verdict::Yes]);
    let component = |name: &str, topic: &str| Target::Component {
        reference: object(dapr(name)),
        topic: Some(topic.to_owned()),
        operation: None,
        metadata: std::collections::BTreeMap::new(),
    };
    let service = |name: &str| Target::Object { reference: object(knative(name)), path: None };
    let check = |position: usize, fires: &[usize], target: Target, dead_letter: DeadLetter| {
        let subscriber = &trigger.subscribers[position];
        assert_eq!(subscriber.id, format!("default/func1/{position}"));
        assert_eq!(subscriber.fires, fires);
        assert_eq!(subscriber.targets, [target]);
        assert_eq!(subscriber.dead_letter, dead_letter);
        assert_eq!(subscriber.policy, Policy::default());
    };
    check(0, &[1], service("knative-func1"), DeadLetter::Targets(vec![service("knative-func2")]));
    check(
        1,
        &[0],
        component("func2-kafka-input-binding", "func1-1"),
        DeadLetter::Targets(vec![component("dead-letter-kafka-pubsub", "func1-1-dlq")]),
    );
    check(2, &[0, 1], component("func3-kafka-input-binding", "func1-2"), DeadLetter::Generated);
}

#[test]
fn the_forms_of_inputs_are_folded_into_one_list() {
    let (trigger, found) = parse(json!({
        "eventBus": "default",
        "logLevel": "1",
        "inputs": {
            "B": {"eventSource": "shop", "event": "payments", "namespace": "bank"},
            "A": {"eventSource": "shop", "event": "orders"}
        },
        "eventSources": [{"name": "c", "eventSourceName": "shop", "eventName": "orders", "namespace": "else"}],
        "subscribers": [{
            "condition": "A || B", "sink": {"ref": {
                "apiVersion": "core.openfunction.io/v1beta1", "kind": "Function", "name": "f", "namespace": "default"
            }},
            "topic": "metrics", "deadLetterTopic": "lost"
        }]
    }));
    assert_eq!(found, [""; 0]);
    let inputs: Vec<_> = trigger.inputs.iter().map(|input| (input.name.as_str(), input.topic.as_str())).collect();
    assert_eq!(inputs, [("c", "else-shop-orders"), ("A", "default-shop-orders"), ("B", "bank-shop-payments")]);
    assert_eq!(trigger.subscribers[0].fires, [1, 2]);
}

#[test]
fn bad_inputs_are_refused() {
    let check_inputs = |inputs: Value, expected: &[&str]| {
        let mut spec = json!({"subscribers": [{"condition": "a", "topic": "t"}]});
        merge(&mut spec, inputs);
        check(spec, expected);
    };
    let input = |name: &str| json!({"name": name, "eventSourceName": "shop", "eventName": "orders"});
    check_inputs(
        json!({
            "eventSources": [input("a"), input("a")], "inputs": {"a": {"eventSource": "shop", "event": "orders"}}
        }),
        &[
            "spec.eventSources[1].name: \"a\" already names another input",
            "spec.inputs.a: \"a\" already names another input",
        ],
    );
    let help = "letters, digits, underscores, dots and dashes, not a dot or dash first";
    check_inputs(
        json!({"eventSources": [
            input("a"), input(""), input("x y"), input("-x"), input("true"), input("ok_1.x-y")
        ]}),
        &[
            &format!("spec.eventSources[1].name: conditions cannot say the name \"\" ({help})"),
            &format!("spec.eventSources[2].name: conditions cannot say the name \"x y\" ({help})"),
            &format!("spec.eventSources[3].name: conditions cannot say the name \"-x\" ({help})"),
            "spec.eventSources[4].name: an input must not be named \"true\": conditions would read it as a constant",
        ],
    );
    check_inputs(
        json!({
            "eventSources": [{"name": "a", "eventSourceName": "", "eventName": "", "namespace": ""}],
            "inputs": {"b": {"eventSource": "", "event": ""}}
        }),
        &[
            "spec.eventSources[0].eventSourceName: must not be empty",
            "spec.eventSources[0].eventName: must not be empty",
            "spec.eventSources[0].namespace: \"\" must be 1 to 63 lower case letters, digits and inner dashes",
            "spec.inputs.b.eventSource: must not be empty",
            "spec.inputs.b.event: must not be empty",
        ],
    );
}

#[test]
fn a_trigger_needs_inputs_and_subscribers() {
    check(
        json!({"eventSources": [], "subscribers": []}),
        &[
            "spec: needs at least one input under \"eventSources\" or \"inputs\"",
            "spec.subscribers: needs at least one subscriber",
        ],
    );
}

#[test]
fn words_are_checked_and_transforms_named() {
    let mut spec = with_subscriber(json!({}));
    merge(&mut spec, json!({"eventBus": "A b", "mode": "both", "workload": "function", "logLevel": "loud"}));
    check(
        spec,
        &[
            "spec.eventBus: \"A b\" cannot name an object: lower case letters, digits, dashes and dots",
            "spec.mode: unknown value \"both\" (known: dedicated, shared)",
            "spec.logLevel: unknown value \"loud\" (known: trace, debug, info, warn, error)",
            "warning: spec.workload: counts in a cluster only",
        ],
    );
    let input = |settings: Value, expected: &[&str]| {
        let mut spec = with_subscriber(json!({}));
        merge(&mut spec["eventSources"][0], settings);
        check(spec, expected);
    };
    input(
        json!({"transform": {"jq": "."}, "filtersLogicalOperator": "and"}),
        &[
            "warning: spec.eventSources[0].filtersLogicalOperator: has no effect without \"filters\"",
            "unsupported: spec.eventSources[0].transform.jq: changing the data by jq is not supported by this version yet",
        ],
    );
    input(json!({"transform": {"script": "event.a = 1 return event"}}), &[]);
    input(
        json!({"transform": {"script": "retrun event"}}),
        &["spec.eventSources[0].transform.script: '=' expected near 'event' in line 1"],
    );
    input(
        json!({"transform": {}, "filtersLogicalOperator": "xor"}),
        &[
            "spec.eventSources[0].transform: needs \"jq\" or \"script\"",
            "spec.eventSources[0].filtersLogicalOperator: unknown value \"xor\" (known: and, or)",
        ],
    );
}

#[test]
fn conditions_are_over_the_names_of_the_inputs() {
    let input = |name: &str| json!({"name": name, "eventSourceName": "shop", "eventName": name});
    let with = |condition: Option<&str>| {
        let mut spec = json!({"eventSources": [input("a"), input("b-c")], "subscribers": [{"topic": "t"}]});
        if let Some(condition) = condition {
            spec["subscribers"][0]["condition"] = json!(condition);
        }
        spec
    };
    for (condition, text) in [(None, "a && b-c"), (Some("a && b-c"), "a && b-c"), (Some("a && !b-c"), "a && !b-c")] {
        let (trigger, found) = parse(with(condition));
        assert_eq!(found, [""; 0], "{condition:?}");
        let subscriber = &trigger.subscribers[0];
        assert_eq!((&subscriber.fires[..], &*subscriber.join.as_ref().unwrap().text), (&[][..], text));
    }
    assert_eq!(parse(with(Some("b-c || (b-c && a)"))).0.subscribers[0].fires, [1]);
    let (trigger, found) = parse(with(Some("a || b")));
    assert_eq!(trigger.subscribers[0].fires, [0; 0]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("spec.subscribers[0].condition: no input is named \"b\""), "{found:?}");
    // With one input, all of them is that one.
    assert_eq!(good(json!({"condition": null})).fires, [0]);
}

#[test]
fn what_is_wrong_with_a_filter_is_told_with_its_place() {
    let mut spec = with_subscriber(json!({}));
    merge(&mut spec["eventSources"][0], json!({"filters": {"data": [{"path": "x", "type": "int", "value": ["1"]}]}}));
    let found = parse(spec).1;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("spec.eventSources[0].filters.data[0].type: "), "{found:?}");
}
