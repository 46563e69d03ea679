use super::*;
use crate::cli::documents::read_values;

/// The result, what was told, and how it ended.
fn converted(text: &str) -> (Vec<Json>, String, Outcome) {
    let options = Options { paths: vec!["-".into()], strict: false };
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
