mod direct;
mod policies;
mod subscribers;
mod targets;
mod topics;
mod triggers;

use serde_json::{Value, json};

use super::*;
use crate::api::trigger::TriggerSpec;
use crate::api::{FieldPath, Problems};

/// Everything that was found, one line each, in the order errors, warnings, not supported.
fn lines(problems: &Problems) -> Vec<String> {
    let errors = problems.iter().map(ToString::to_string);
    let warnings = problems.warnings().iter().map(|problem| format!("warning: {problem}"));
    let unsupported = problems.not_supported().iter().map(|problem| format!("unsupported: {problem}"));
    errors.chain(warnings).chain(unsupported).collect()
}

/// Reads a Trigger `default/func1` on a bus with these settings.
fn parse_on(bus: &BusDefaults, spec: Value) -> (Trigger, Vec<String>) {
    let spec: TriggerSpec = serde_json::from_value(spec).unwrap();
    let mut problems = Problems::new();
    let trigger = Trigger::parse("default", "func1", &spec, bus, &mut problems);
    (trigger, lines(&problems))
}

fn parse(spec: Value) -> (Trigger, Vec<String>) {
    parse_on(&BusDefaults::named("default"), spec)
}

/// Checks exactly what is found in a Trigger.
fn check(spec: Value, expected: &[&str]) {
    let shown = spec.to_string();
    assert_eq!(parse(spec).1, expected, "{shown}");
}

/// A Trigger with the input `a` and one subscriber with these settings on top of a good one.
fn with_subscriber(settings: Value) -> Value {
    let mut subscriber = json!({"condition": "a", "sink": {"uri": "http://sink/"}});
    merge(&mut subscriber, settings);
    json!({
        "eventSources": [{"name": "a", "eventSourceName": "shop", "eventName": "orders"}],
        "subscribers": [subscriber]
    })
}

/// Sets the members; `null` removes one.
fn merge(object: &mut Value, settings: Value) {
    let (Value::Object(object), Value::Object(settings)) = (object, settings) else { panic!("two objects") };
    for (name, value) in settings {
        if value.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
}

/// Checks exactly what is found in a subscriber; paths are those below `spec.subscribers[0].`.
fn check_subscriber(settings: Value, expected: &[&str]) {
    let shown = settings.to_string();
    let found = parse(with_subscriber(settings)).1;
    let found: Vec<String> = found.iter().map(|line| line.replacen("spec.subscribers[0].", "", 1)).collect();
    assert_eq!(found, expected, "{shown}");
}

/// The one subscriber, which must be without errors and warnings.
fn good(settings: Value) -> Subscriber {
    let (mut trigger, found) = parse(with_subscriber(settings));
    assert_eq!(found, [""; 0]);
    trigger.subscribers.remove(0)
}
