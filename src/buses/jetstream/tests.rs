use std::time::Duration;

use serde_json::{Value as Json, json};

use super::config::{Config, Login, Start, Storage};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};

fn said(problems: &Problems) -> Vec<String> {
    problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

fn check(settings: &Json, expected: &[&str]) -> Config {
    let raw = serde_json::from_value(settings.clone()).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root().field("j"), &Unresolved, &mut problems);
    assert_eq!(said(&problems), expected, "{settings}");
    config
}

/// `OpenFunction`'s block with `more` added to what is always there.
fn check_streaming(more: &Json, expected: &[&str]) -> Config {
    let mut settings =
        json!({"natsURL": "nats://n:4222", "natsStreamingClusterID": "stan", "subscriptionType": "queue"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let raw = serde_json::from_value(settings).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse_streaming(&raw, &FieldPath::root().field("s"), &mut problems);
    assert_eq!(said(&problems), expected, "{more}");
    assert!(problems.warnings().len() >= 2, "that it runs on JetStream is said");
    config
}

#[test]
fn a_jetstream_bus_is_read() {
    let secret = json!({"env": "X"});
    let config = check(
        &json!({"url": "nats://a:4222, tls://b", "stream": "events", "replicas": 3, "storage": "memory", "token": secret}),
        &[],
    );
    let servers: Vec<String> = config.access.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["a:4222", "b:4222"]);
    assert!(config.access.tls.is_some());
    assert_eq!((config.replicas, config.storage), (3, Storage::Memory));
    assert!(matches!(config.access.login, Login::Token(_)));
}

#[test]
fn what_is_wrong_is_named() {
    let secret = json!({"env": "X"});
    check(&json!({"url": "http://a"}), &["j.url: unknown scheme \"http\""]);
    check(
        &json!({"url": "nats://a", "replicas": 9, "stream": "a.b", "storage": "tape"}),
        &[
            "j.stream: \"a.b\" is not the name of a stream",
            "j.replicas: must be 1 to 5, not 9",
            "j.storage: unknown value \"tape\"",
        ],
    );
    check(&json!({"url": "nats://a", "user": secret}), &["j: \"user\" needs \"password\""]);
    check(
        &json!({"url": "nats://a", "token": secret, "credentials": secret}),
        &["j: \"user\" with \"password\", \"token\", \"credentials\" and \"nkey\" exclude each other"],
    );
    check(&json!({"url": "nats://u:p@a", "token": secret}), &["j.url: holds a login, which excludes the others"]);
}

#[test]
fn the_block_of_the_proposal_runs_on_jetstream_with_a_warning() {
    let native =
        json!({"natsURL": "nats://localhost:4222", "subscriptionType": "topic", "natsStreamingClusterID": "c"});
    let mut problems = Problems::new();
    let raw = serde_json::from_value(native).unwrap();
    let config = Config::parse_native(&raw, &FieldPath::root().field("n"), &mut problems);
    assert!(problems.is_empty(), "{problems}");
    let warned: Vec<&str> = problems.warnings().iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(warned, ["n", "n.natsStreamingClusterID"]);
    assert_eq!(config.access.servers[0].to_string(), "localhost:4222");
}

#[test]
fn the_block_of_openfunction_says_where_a_group_starts() {
    let start = |more: Json| check_streaming(&more, &[]).start;
    assert_eq!(start(json!({})), Start::All);
    assert_eq!(start(json!({"deliverNew": true, "deliverAll": false})), Start::New);
    assert_eq!(start(json!({"startWithLastReceived": true})), Start::Last);
    assert_eq!(start(json!({"startAtSequence": 7})), Start::Sequence(7));
    assert_eq!(start(json!({"startAtTimeDelta": "1h"})), Start::Since(Duration::from_secs(3600)));
    assert!(matches!(start(json!({"startAtTime": "2026-01-31T12:00:00Z"})), Start::Time(_)));

    check_streaming(
        &json!({"deliverNew": true, "startAtSequence": 1}),
        &["s.startAtSequence: excludes \"deliverNew\": a group starts at one place"],
    );
    check_streaming(&json!({"startAtSequence": 0}), &["s.startAtSequence: must be at least 1"]);
    check_streaming(&json!({"startAtTime": "today"}), &["s.startAtTime: \"today\" is not a time of RFC 3339"]);
    check_streaming(
        &json!({"subscriptionType": "fan", "ackWaitTime": "0s", "maxInFlight": 0}),
        &[
            "s.subscriptionType: unknown value \"fan\"",
            "s.ackWaitTime: must be longer than zero",
            "s.maxInFlight: must be at least 1, not 0",
        ],
    );
    assert_eq!(check_streaming(&json!({"ackWaitTime": "5s"}), &[]).ack_wait, Duration::from_secs(5));
}
