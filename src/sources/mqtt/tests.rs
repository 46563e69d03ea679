use serde_json::{Value as Json, json};

use super::config::{Config, Qos, Version};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};

/// Settings with `more` added to what is always needed, and what is expected to be said.
fn check(more: &Json, expected: &[&str]) -> Config {
    let mut settings = json!({"url": "mqtt://broker", "topic": "a/b"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let raw = serde_json::from_value(settings).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, "orders", &FieldPath::root().field("m"), &Unresolved, &mut problems);
    let mut said: Vec<String> = problems.warnings().iter().map(|warning| format!("warning: {warning}")).collect();
    said.extend(problems.iter().map(ToString::to_string));
    assert_eq!(said, expected, "{more}");
    config
}

#[test]
fn defaults_lose_nothing() {
    let config = check(&json!({}), &[]);
    assert_eq!((config.qos, config.clean_session, config.version), (Qos::AtLeastOnce, false, Version::V3_1_1));
    assert_eq!((config.broker.unwrap().port, config.tls), (1883, None));
}

#[test]
fn what_may_lose_events_is_warned_of() {
    check(
        &json!({"qos": 0, "cleanSession": true}),
        &["warning: m.qos: with QoS 0 the broker keeps nothing: events can be lost"],
    );
    check(&json!({"cleanSession": true}), &["warning: m.cleanSession: what arrives while disconnected is lost"]);
    check(&json!({"qos": 3}), &["m.qos: must be 0, 1 or 2, not 3"]);
}

#[test]
fn topic_filters_have_a_syntax() {
    for legal in ["a", "#", "+", "a/+/c", "a/#", "/a", "+/+/#", "a//b"] {
        assert_eq!(check(&json!({"topic": legal}), &[]).topic, legal);
    }
    check(&json!({"topic": ""}), &["m.topic: must not be empty"]);
    check(&json!({"topic": "a/#/b"}), &["m.topic: \"a/#/b\": # must come last"]);
    check(&json!({"topic": "a+/b"}), &["m.topic: \"a+/b\": # and + must stand alone between slashes"]);
    check(
        &json!({"topic": "$share/g/a"}),
        &["m.topic: a shared subscription has a field of its own (use sharedGroup)"],
    );
    assert_eq!(check(&json!({"sharedGroup": "g"}), &[]).topic, "$share/g/a/b");
    check(&json!({"sharedGroup": "g/h"}), &["m.sharedGroup: \"g/h\" must be a name without /, # and +"]);
}

#[test]
fn address_version_and_login_are_checked() {
    assert_eq!(check(&json!({"version": "5"}), &[]).version, Version::V5);
    check(&json!({"version": "4"}), &["m.version: unknown value \"4\" (known: 3.1.1, 5)"]);
    check(&json!({"url": "ws://broker"}), &["m.url: unknown scheme \"ws\" (known: mqtt, tcp, mqtts, ssl, tls)"]);
    check(&json!({"password": {"env": "P"}}), &["m.password: needs \"username\""]);
    check(
        &json!({"url": "tcp://u:p@broker", "username": {"env": "U"}}),
        &[
            "warning: m.url: a password in an address can be read by everyone who reads this file",
            "m.url: excludes username and password: it holds them already",
        ],
    );
    let certificates = json!({"caCert": {"file": "ca"}, "clientCert": {"file": "c"}});
    check(
        &certificates,
        &["m: \"clientCert\" needs \"clientKey\"", "m.url: mqtt:// has no TLS for the certificates: use mqtts://"],
    );
    assert!(check(&json!({"url": "mqtts://broker", "caCert": {"file": "ca"}}), &[]).tls.unwrap().ca.is_some());
}
