use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::api::event_bus::BusSpec;

const MILLIS: fn(u64) -> Duration = Duration::from_millis;
const SECS: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn without_settings_the_documented_defaults_hold() {
    let policy = good(json!({})).policy;
    assert_eq!(policy, Policy::default());
    assert_eq!((policy.attempts, policy.base, policy.growth), (11, MILLIS(200), Growth::Exponential(2.0)));
    assert_eq!((policy.cap, policy.deadline, policy.timeout), (SECS(300), SECS(86_400), SECS(30)));
}

#[test]
fn both_blocks_mean_a_policy() {
    let check = |settings: Value, expected: Policy| {
        let shown = settings.to_string();
        assert_eq!(good(settings).policy, expected, "{shown}");
    };
    check(json!({"delivery": {}}), Policy::default());
    check(
        json!({"delivery": {
            "retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT1S", "timeout": "PT5S", "retryAfterMax": "PT0S",
            "format": "structured"
        }}),
        Policy {
            attempts: 4,
            growth: Growth::Linear,
            base: SECS(1),
            timeout: SECS(5),
            retry_after_max: Duration::ZERO,
            structured: true,
            ..Policy::default()
        },
    );
    check(
        json!({"delivery": {"retry": 0, "backoffDelay": "10m"}}),
        Policy { attempts: 1, base: SECS(600), cap: SECS(600), ..Policy::default() },
    );
    let argo =
        Policy { attempts: 5, base: SECS(1), growth: Growth::Exponential(1.0), jitter: 1.0, ..Policy::default() };
    check(json!({"retryStrategy": {}}), argo.clone());
    check(json!({"retryStrategy": {"steps": 0, "factor": 0}}), argo.clone());
    check(
        json!({"retryStrategy": {"steps": 1, "duration": 500_000_000}}),
        Policy { attempts: 1, base: MILLIS(500), ..argo.clone() },
    );
    check(
        json!({"retryStrategy": {
            "steps": 10, "duration": "200ms", "factor": 2, "jitter": 0.2, "cap": "5m", "deadline": "1h"
        }}),
        Policy { attempts: 10, deadline: SECS(3600), ..Policy::default() },
    );
    check(
        json!({"statusPolicy": {"allow": [404, 200, 404]}, "concurrency": 1}),
        Policy { success: StatusCodes::Only(vec![200, 404]), concurrency: 1, ..Policy::default() },
    );
    check(
        json!({"rateLimit": {"requestsPerUnit": 4}, "circuitBreaker": {}}),
        Policy {
            rate: Some(Rate { requests: 4, unit: SECS(1) }),
            breaker: Some(Breaker { failures: 10, open_for: SECS(30) }),
            ..Policy::default()
        },
    );
    check(
        json!({
            "rateLimit": {"unit": "Hour", "requestsPerUnit": 7200},
            "circuitBreaker": {"consecutiveFailures": 3, "openFor": "PT1M"}
        }),
        Policy {
            rate: Some(Rate { requests: 7200, unit: SECS(3600) }),
            breaker: Some(Breaker { failures: 3, open_for: SECS(60) }),
            ..Policy::default()
        },
    );
    assert_eq!(Rate { requests: 7200, unit: SECS(3600) }.interval(), MILLIS(500));
    check(
        json!({"atMostOnce": true, "delivery": {"timeout": "1s", "retry": 0}}),
        Policy { at_most_once: true, attempts: 1, timeout: SECS(1), ..Policy::default() },
    );
}

#[test]
fn bad_settings_of_delivery_are_refused() {
    let check = check_subscriber;
    check(
        json!({"delivery": {
            "retry": 10_001, "backoffPolicy": "quadratic", "backoffDelay": "0", "timeout": "PT0S",
            "retryAfterMax": "soon", "format": "xml"
        }}),
        &[
            "delivery.retry: must be 0 to 10000, not 10001",
            "delivery.backoffPolicy: unknown value \"quadratic\" (known: exponential, linear)",
            "delivery.backoffDelay: must be longer than zero",
            "delivery.timeout: must be longer than zero",
            "delivery.retryAfterMax: \"soon\" is not a duration: write it like \"10s\", \"1h30m\" or \"PT10S\"",
            "delivery.format: unknown value \"xml\" (known: binary, structured)",
        ],
    );
    check(
        json!({"retryStrategy": {
            "steps": 10_002, "duration": 0, "factor": -1, "jitter": 1.5, "cap": "0s", "deadline": "0s"
        }}),
        &[
            "retryStrategy.steps: must be 1 to 10001, not 10002",
            "retryStrategy.duration: must be longer than zero",
            "retryStrategy.factor: must be 0 to 1000, not -1",
            "retryStrategy.jitter: must be 0 to 1, not 1.5",
            "retryStrategy.cap: must be longer than zero",
            "retryStrategy.deadline: must be longer than zero",
        ],
    );
    check(
        json!({"retryStrategy": {"duration": -5}}),
        &["retryStrategy.duration: -5 is not a duration: it must not be negative"],
    );
    check(
        json!({"retryStrategy": {"duration": "10s", "cap": "5s"}}),
        &["retryStrategy.cap: must not be shorter than the first pause (\"duration\")"],
    );
    check(json!({"statusPolicy": {"allow": []}}), &["statusPolicy.allow: must name at least one status code"]);
    check(
        json!({"statusPolicy": {"allow": [200, 99, 600]}}),
        &[
            "statusPolicy.allow[1]: 99 is no HTTP status code: they are 100 to 599",
            "statusPolicy.allow[2]: 600 is no HTTP status code: they are 100 to 599",
        ],
    );
    check(
        json!({
            "rateLimit": {"unit": "second", "requestsPerUnit": 0},
            "circuitBreaker": {"consecutiveFailures": 0, "openFor": "0s"}
        }),
        &[
            "rateLimit.unit: unknown value \"second\" (did you mean \"Second\"? known: Second, Minute, Hour)",
            "rateLimit.requestsPerUnit: must be 1 to 1000000, not 0",
            "circuitBreaker.consecutiveFailures: must be 1 to 10000, not 0",
            "circuitBreaker.openFor: must be longer than zero",
        ],
    );
    check(json!({"concurrency": 0}), &["concurrency: must be 1 to 10000, not 0"]);
}

#[test]
fn contradictions_are_refused() {
    check_subscriber(
        json!({"delivery": {"timeout": "1s"}, "retryStrategy": {"steps": 2}}),
        &["retryStrategy: excludes \"delivery\" (write one of the two blocks)"],
    );
    let contradiction = "contradicts \"atMostOnce\": there is one attempt, and nothing is kept when it fails";
    check_subscriber(
        json!({
            "atMostOnce": true, "deadLetterTopic": "t", "deadLetterSink": {"uri": "log:"},
            "delivery": {"retry": 1, "deadLetterTopic": "t", "deadLetterSink": {"uri": "log:"}}
        }),
        &[
            &format!("delivery.retry: {contradiction}"),
            &format!("deadLetterSink: {contradiction}"),
            &format!("deadLetterTopic: {contradiction}"),
            &format!("delivery.deadLetterSink: {contradiction}"),
            &format!("delivery.deadLetterTopic: {contradiction}"),
            "warning: delivery: its dead letter target is not used: the subscriber has its own",
        ],
    );
    check_subscriber(json!({"atMostOnce": true, "retryStrategy": {}}), &[&format!("retryStrategy: {contradiction}")]);
    good(json!({"atMostOnce": false, "retryStrategy": {}}));
}

#[test]
fn a_subscriber_inherits_from_the_bus_field_by_field() {
    let spec: BusSpec = serde_json::from_value(json!({"delivery": {
        "retry": 2, "backoffPolicy": "linear", "backoffDelay": "3s", "timeout": "7s", "format": "structured",
        "deadLetterTopic": "lost"
    }}))
    .unwrap();
    let mut problems = Problems::new();
    let bus = BusDefaults::parse("main", "default", &spec, &FieldPath::root().field("spec"), &mut problems);
    assert_eq!(lines(&problems), [""; 0]);
    let check = |settings: Value, expected: Policy, dead_letter: &str| {
        let (trigger, found) = parse_on(&bus, with_subscriber(settings));
        assert_eq!(found, [""; 0]);
        assert_eq!(trigger.bus, "main");
        assert_eq!(trigger.subscribers[0].policy, expected);
        assert_eq!(
            trigger.subscribers[0].dead_letter,
            DeadLetter::Targets(vec![Target::Topic(dead_letter.to_owned())])
        );
    };
    let inherited = Policy {
        attempts: 3,
        growth: Growth::Linear,
        base: SECS(3),
        timeout: SECS(7),
        structured: true,
        ..Policy::default()
    };
    check(json!({}), inherited.clone(), "lost");
    check(
        json!({"delivery": {"retry": 9, "format": "binary", "deadLetterTopic": "mine"}}),
        Policy { attempts: 10, structured: false, ..inherited.clone() },
        "mine",
    );
    check(
        json!({"retryStrategy": {"steps": 2, "jitter": 0}}),
        Policy { attempts: 2, growth: Growth::Exponential(1.0), base: SECS(1), jitter: 0.0, ..inherited },
        "lost",
    );
}

#[test]
fn what_is_wrong_with_the_defaults_of_a_bus_is_told_once_by_the_bus() {
    let spec: BusSpec = serde_json::from_value(json!({
        "topic": "a b", "delivery": {"timeout": "0s", "deadLetterSink": {"uri": "lost"}}
    }))
    .unwrap();
    let mut problems = Problems::new();
    BusDefaults::parse("main", "default", &spec, &FieldPath::root().field("spec"), &mut problems);
    assert_eq!(
        lines(&problems),
        [
            "spec.topic: the prefix must be letters, digits, dots, dashes and underscores, and ' ' is none of them",
            "spec.delivery.timeout: must be longer than zero",
            "spec.delivery.deadLetterSink.uri: a path alone is no address (write \"ref\" beside it, or begin with \
             http:// or https://)",
        ]
    );
}
