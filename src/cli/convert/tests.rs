use super::*;
use crate::cli::documents::read_values;

/// The result, what was told, and how it ended.
fn converted(text: &str) -> (Vec<Json>, String, Outcome) {
    let options = Options { paths: vec!["-".into()], strict: false, output: None };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let outcome = run(&options, &mut Cursor::new(text.as_bytes()), &mut out, &mut err).unwrap();
    let told = String::from_utf8(err).unwrap().replace("standard input:", "");
    (read_values(&String::from_utf8(out).unwrap()), told, outcome)
}

/// Converts `text`, whose result passes `check`, and compares it.
fn check(text: &str, expected: &str, outcome: Outcome) -> String {
    let (objects, told, ended) = converted(text);
    assert_eq!(json!(objects), json!(read_values(expected)), "{told}");
    assert!(!told.contains("must be repaired"), "{told}");
    assert_eq!(ended, outcome, "{told}");
    told
}

fn says(told: &str, lines: &[&str]) {
    for line in lines {
        assert!(told.lines().any(|said| said.starts_with(line)), "{line:?} is not in:\n{told}");
    }
}

#[test]
fn a_sensor_becomes_a_trigger() {
    let told = check(include_str!("tests/sensor.yaml"), include_str!("tests/sensor.out.yaml"), Outcome::Incomplete);
    says(
        &told,
        &[
            "15:13: changed: Sensor shop/orders: spec.dependencies[0].filters.data[0].path: Argo's sources wrap",
            "17:13: changed: Sensor shop/orders: spec.dependencies[0].filters.data[0].type: text that is no number",
            "6:3: left out: Sensor shop/orders: spec.template: there is no equivalent",
        ],
    );
    assert!(told.contains("only http triggers can be converted, not k8s"), "{told}");
    assert!(told.contains("events are sent by POST, not PUT"), "{told}");
}

#[test]
fn an_event_source_of_argo_keeps_its_connections() {
    let told = check(include_str!("tests/sources.yaml"), include_str!("tests/sources.out.yaml"), Outcome::Incomplete);
    assert!(told.contains("spec.amqp: there is no equivalent"), "{told}");
    assert!(told.contains("spec.webhook.orders.filter: a source has no filter"), "{told}");
}

#[test]
fn a_broker_and_its_trigger_become_a_webhook_a_bus_and_a_trigger() {
    let told = check(include_str!("tests/knative.yaml"), include_str!("tests/knative.out.yaml"), Outcome::Incomplete);
    assert!(told.contains("spec.config: the channel"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn objects_of_openfunction_are_kept_and_inputs_become_a_list() {
    let told =
        check(include_str!("tests/openfunction.yaml"), include_str!("tests/openfunction.out.yaml"), Outcome::Done);
    assert!(
        told.contains("changed: Trigger default/t: spec.subscribers[0].condition: OpenFunction fires again"),
        "{told}"
    );
}

#[test]
fn legacy_attributes_without_text_ask_for_any_value() {
    let text = "{apiVersion: eventing.knative.dev/v1, kind: Trigger, metadata: {name: t}, spec: {broker: b, \
                filter: {attributes: {type: a, subject: ''}}, subscriber: {uri: 'http://x'}}}";
    let (objects, told, outcome) = converted(text);
    let expected = json!([{"exact": {"type": "a"}}, {"cesql": "EXISTS subject AND subject != ''"}]);
    assert_eq!(objects[0]["spec"]["eventSources"][0]["filters"], expected);
    assert_eq!(outcome, Outcome::Done, "{told}");
}

#[test]
fn what_cannot_be_read_is_refused_and_what_is_unknown_is_left_out() {
    let (objects, told, outcome) = converted("a: [");
    assert!(objects.is_empty() && outcome == Outcome::Refused, "{told}");
    let (_, told, outcome) = converted("");
    assert!(told.starts_with("nothing to convert") && outcome == Outcome::Refused, "{told}");
    let (objects, told, outcome) = converted("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n");
    assert!(objects.is_empty() && outcome == Outcome::Incomplete, "{told}");
    says(&told, &["2:1: left out: Service default/a: kind: v1 Service cannot be converted; known: argoproj.io"]);
}

/// An `EventSource` of Argo, and a Sensor that reads it and another one.
const ARGO: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: hooks, namespace: shop}
spec: {webhook: {orders: {endpoint: /orders, port: "8080", method: POST}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: orders, namespace: shop}
spec:
  dependencies:
    - {name: own, eventSourceName: hooks, eventName: orders, filters: {data: [{path: body.total, type: string, value: ["x"]}, {path: body, type: string, value: ["x"]}], exprs: [{expr: "a == 1", fields: [{name: a, path: body.a.b}, {name: h, path: header.X}]}], script: "return event.body.a == 1"}}
    - {name: other, eventSourceName: elsewhere, eventName: orders, filters: {data: [{path: body.total, type: string, value: ["x"]}]}}
  triggers:
    - template: {name: ship, http: {url: "http://ship", method: POST, payload: [{src: {dependencyName: own, dataKey: body.id}, dest: id}, {src: {dependencyName: other, dataKey: body.id}, dest: other}]}}
"#;

#[test]
fn paths_lose_the_wrapping_of_sources_that_are_converted_too() {
    let (objects, told, _) = converted(ARGO);
    let inputs = &objects[1]["spec"]["eventSources"];
    let filters = &inputs[0]["filters"];
    assert_eq!((&filters["data"][0]["path"], &filters["data"][1]["path"]), (&json!("total"), &json!("@this")));
    assert_eq!(filters["exprs"][0]["fields"][0]["path"], "a.b");
    assert_eq!(inputs[1]["filters"]["data"][0]["path"], "body.total", "nobody knows what that source sends");
    let parameters = &objects[1]["spec"]["subscribers"][0]["parameters"];
    assert_eq!((&parameters[0]["src"]["dataKey"], &parameters[1]["src"]["dataKey"]), (&json!("id"), &json!("body.id")));
    for line in [
        "spec.dependencies[0].filters.data[0].path: \"body.total\" is \"total\" now",
        "spec.dependencies[0].filters.exprs[0].fields[1].path: headers are not among the data",
        "spec.dependencies[0].filters.script: it reads the wrapping",
        "spec.dependencies[1].filters.data[0].path: Argo's sources wrap",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[test]
fn a_folder_gets_a_file_for_each_object_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { paths: vec!["-".into()], strict: false, output: Some(folder.path().join("new")) };
    let write = |text: &str| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let outcome = run(&options, &mut Cursor::new(text.as_bytes()), &mut out, &mut err).unwrap();
        assert!(out.is_empty());
        (outcome, String::from_utf8(err).unwrap())
    };
    write(ARGO);
    let read = |name: &str| std::fs::read_to_string(folder.path().join("new").join(name)).unwrap();
    assert!(read("shop.trigger.orders.yaml").contains("eventSourceName: hooks"));
    assert!(read("shop.eventsource.hooks.yaml").contains("path: /orders"));
    std::fs::write(folder.path().join("new/shop.trigger.orders.yaml"), "mine").unwrap();
    let (outcome, told) = write(ARGO);
    assert_eq!((outcome, read("shop.trigger.orders.yaml").as_str()), (Outcome::Incomplete, "mine"));
    assert!(told.contains("shop.trigger.orders.yaml is there already: left as it is"), "{told}");
    let odd = "{apiVersion: events.openfunction.io/v1alpha1, kind: EventBus, metadata: {name: ../../x}, spec: {embedded: {}}}";
    write(odd);
    assert!(read("eventbus...-..-x.yaml").contains("kind: EventBus"));
}
