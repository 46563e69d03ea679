use serde_json::{Value, json};

use super::*;
use crate::api::event_bus::BusSpec;
use crate::flow::Topic;

fn names(spec: Value) -> (TopicNames, Vec<String>) {
    let spec: BusSpec = serde_json::from_value(spec).unwrap();
    let mut problems = Problems::new();
    let names = TopicNames::parse(&spec, &FieldPath::root().field("spec"), &mut problems);
    (names, lines(&problems))
}

#[test]
fn topics_are_named_as_released_unless_the_bus_says_otherwise() {
    let check = |spec: Value, expected: &str| {
        let (names, found) = names(spec);
        assert_eq!(found, [""; 0]);
        assert_eq!(names.topic("default", "shop", "orders"), expected);
    };
    check(json!({}), "default-shop-orders");
    check(json!({"topic": "events"}), "events-default-shop-orders");
    check(json!({"topicTemplate": "{eventSource}.{event}"}), "shop.orders");
    check(json!({"topicTemplate": "x.{event}_{eventSource}", "topic": "p.q"}), "p.q-x.orders_shop");
}

#[test]
fn a_bad_template_or_prefix_is_refused_and_the_default_stands_in() {
    let check = |spec: Value, expected: &str| {
        let (names, found) = names(spec);
        assert_eq!(found, [expected]);
        assert!(names.topic("default", "shop", "orders").ends_with("default-shop-orders"));
    };
    check(
        json!({"topicTemplate": "{namespace}-{source}-{event}"}),
        "spec.topicTemplate: unknown value \"source\" (known: namespace, eventSource, event)",
    );
    check(
        json!({"topicTemplate": "{event}"}),
        "spec.topicTemplate: without {eventSource} the events of different sources would share a topic \
         (such as \"{namespace}-{eventSource}-{event}\")",
    );
    check(
        json!({"topicTemplate": "{eventSource}-{namespace}"}),
        "spec.topicTemplate: without {event} the events of different sources would share a topic \
         (such as \"{namespace}-{eventSource}-{event}\")",
    );
    check(json!({"topicTemplate": "{eventSource}{event"}), "spec.topicTemplate: an opening brace has no closing one");
    check(
        json!({"topicTemplate": "{eventSource}/{event}"}),
        "spec.topicTemplate: what stands beside the placeholders must be letters, digits, dots, dashes and \
         underscores, and '/' is none of them",
    );
    check(
        json!({"topicTemplate": format!("{{eventSource}}{{event}}{}", "x".repeat(101))}),
        "spec.topicTemplate: at most 100 characters may stand beside the placeholders",
    );
    check(json!({"topic": ""}), "spec.topic: the prefix must not be empty");
    check(
        json!({"topic": "a b"}),
        "spec.topic: the prefix must be letters, digits, dots, dashes and underscores, and ' ' is none of them",
    );
    check(json!({"topic": "x".repeat(100)}), "spec.topic: the prefix leaves too little room: at most 100 characters");
}

/// The hashes are part of the names on disks and brokers: they must never change.
#[test]
fn what_no_broker_takes_is_replaced_and_told_apart_by_a_hash() {
    let names = TopicNames::default();
    assert_eq!(names.topic("default", "my.shop", "orders"), "default-my-shop-orders-9f06c81e");
    assert_eq!(names.topic("default", "my-shop", "orders"), "default-my-shop-orders");
    assert_eq!(names.topic("default", "shop", "Bestellung groß"), "default-shop-Bestellung-gro--cee49096");
    let long = names.topic("default", &"s".repeat(250), "orders");
    assert_eq!(long.len(), MAX_TOPIC);
    assert!(long.starts_with("default-sss"), "{long}");
    assert_ne!(long, names.topic("default", &"s".repeat(250), "payments"));
    for topic in [long, names.topic("a", "ä/…\0", "ü")] {
        assert!(Topic::new(&dead_letter_topic(&topic)).is_ok(), "{topic}");
    }
}

#[test]
fn events_that_would_share_a_topic_are_found() {
    let names = TopicNames::default();
    let event = |namespace, source, event| EventName { namespace, source, event };
    let check = |events: &[EventName<'static>], expected: &[&str]| {
        let found: Vec<String> = names.collisions(events.iter().copied()).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    };
    check(&[event("a", "b", "c"), event("a", "b", "d"), event("a", "b", "c")], &[]);
    check(
        &[event("a", "b-c", "d"), event("a", "x", "y"), event("a", "b", "c-d")],
        &["event a/b-c/d and event a/b/c-d would share the topic \"a-b-c-d\""],
    );
    check(
        &[event("a", "b", "c-dlq"), event("a", "b", "c")],
        &["the dead letters of event a/b/c and event a/b/c-dlq would share the topic \"a-b-c-dlq\""],
    );
}
