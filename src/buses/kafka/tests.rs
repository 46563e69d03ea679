use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::config::{CLIENT_SETTINGS, Config};
use super::store::Desk;
use super::{end, message};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};
use crate::dial::kafka::Message;
use crate::flow::{Expect, Revision, Write};

fn check(settings: &Json, expected: &[&str]) -> Config {
    let raw = serde_json::from_value(settings.clone()).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root().field("k"), &Unresolved, &mut problems);
    let found: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    assert_eq!(found, expected, "{settings}");
    config
}

#[test]
fn a_kafka_bus_is_read() {
    let config = check(&json!({"brokers": "a:9092,b:9092", "config": {"linger.ms": "5"}}), &[]);
    assert_eq!((config.brokers.len(), config.partitions, config.replication_factor), (2, 6, 1));
}

#[test]
fn what_is_wrong_is_named() {
    check(
        &json!({"brokers": "a", "partitions": 0, "replicationFactor": 40_000}),
        &[
            "k.partitions: must be 1 to 10000, not 0",
            "k.replicationFactor: must be 1 to 32767, not 40000",
            "k.brokers: \"a\" is not host:port",
        ],
    );
    check(&json!({"brokers": "a:1", "config": {"acks": "0"}}), &["k.config.acks: \"acks\" cannot be set here"]);
    assert!(CLIENT_SETTINGS.is_sorted());
}

#[test]
fn only_a_broker_says_when_a_message_was_appended() {
    let sent = |timestamp, stamped| Message {
        partition: 0,
        offset: 0,
        timestamp,
        stamped,
        key: None,
        payload: "".into(),
        headers: Vec::new(),
    };
    let time = Timestamp::from_second(1_764_000_000).unwrap();
    let millis = time.as_millisecond();
    assert_eq!(message::appended(&sent(Some(millis), true)), time);
    for unstamped in [sent(Some(millis), false), sent(None, false), sent(None, true)] {
        assert_eq!(message::appended(&unstamped), Timestamp::UNIX_EPOCH);
    }
    assert_eq!(end::stamp(rdkafka::Timestamp::LogAppendTime(millis)), Some(time));
    assert_eq!(end::stamp(rdkafka::Timestamp::CreateTime(millis)), None);
    assert_eq!(end::stamp(rdkafka::Timestamp::NotAvailable), None);
}

#[test]
fn the_offset_behind_a_position_is_the_next_one() {
    let offset = |minor| message::next(Some(message::position(3, minor)));
    assert_eq!((message::next(None), offset(0), offset(41), offset(i64::MAX)), (0, 1, 42, i64::MAX));
}

#[test]
fn what_was_written_from_here_does_not_give_way_to_what_was_there_before() {
    let mut desk = Desk::default();
    let write = |value: Option<&'static str>| {
        [Write { key: "k".into(), value: value.map(Into::into), expect: Expect::Anything }]
    };
    desk.note(&write(Some("first")), &[Revision(4)]);
    desk.note(&write(None), &[Revision(6)]);
    // The brokers still hand out the one before, and nothing of the one that was told to be committed.
    desk.learn(4, b"k", Some(b"first"));
    assert_eq!(desk.revision(b"k"), None);
    desk.learn(6, b"k", None);
    desk.learn(8, b"k", Some(b"another's"));
    assert_eq!(desk.revision(b"k"), Some(Revision(8)));
}
