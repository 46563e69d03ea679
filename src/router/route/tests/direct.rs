use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::api::event_source::EventSourceSpec;
use crate::router::condition::Form;

fn direct(spec: Value, events: &[&str]) -> (Option<Trigger>, Vec<String>) {
    let spec: EventSourceSpec = serde_json::from_value(spec).unwrap();
    let mut problems = Problems::new();
    let bus = BusDefaults::named("default");
    let trigger = Trigger::of_event_source("shop-ns", "shop", &spec, events, &bus, &mut problems);
    (trigger, lines(&problems))
}

#[test]
fn a_direct_sink_is_one_subscriber_that_every_event_fires() {
    let spec = json!({"sink": {"uri": "http://h/"}, "delivery": {"timeout": "3s", "deadLetterTopic": "lost"}});
    let (trigger, found) = direct(spec, &["orders", "pay ments"]);
    assert_eq!(found, [""; 0]);
    let trigger = trigger.unwrap();
    assert_eq!((trigger.namespace.as_str(), trigger.name.as_str()), ("shop-ns", "shop"));
    assert_eq!(trigger.inputs[0].topic, "shop-ns-shop-orders");
    assert_eq!(trigger.inputs[1].name, "pay ments");
    let [subscriber] = &trigger.subscribers[..] else { panic!("one subscriber") };
    assert_eq!(subscriber.id, "shop-ns/shop/@sink");
    assert_eq!(subscriber.fires, [0, 1]);
    assert_eq!(*subscriber.condition.form(), Form::Stateless([0, 1].into()));
    assert_eq!(subscriber.targets, [Target::Http("http://h/".parse().unwrap())]);
    assert_eq!(subscriber.dead_letter, DeadLetter::Targets(vec![Target::Topic("lost".to_owned())]));
    assert_eq!(subscriber.policy, Policy { timeout: Duration::from_secs(3), ..Policy::default() });
}

#[test]
fn what_is_wrong_with_a_direct_sink_is_told() {
    let (trigger, found) = direct(json!({"sink": {"uri": "/x"}, "delivery": {"timeout": "0s"}}), &["orders"]);
    assert!(trigger.is_some());
    assert_eq!(
        found,
        [
            "spec.delivery.timeout: must be longer than zero",
            "spec.sink.uri: a path alone is no address (write \"ref\" beside it, or begin with http:// or https://)",
        ]
    );
}

#[test]
fn without_a_sink_there_is_nothing_to_run() {
    let (trigger, found) = direct(json!({"delivery": {}}), &["orders"]);
    assert!(trigger.is_none());
    assert_eq!(found, ["warning: spec.delivery: has no effect without \"sink\""]);
    assert!(direct(json!({}), &["orders"]).1.is_empty());
}
