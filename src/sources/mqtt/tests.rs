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

#[test]
fn a_component_has_the_same_settings() {
    let read = |pairs: &[(&str, &str)]| {
        let metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut problems = Problems::new();
        Config::from_metadata(&metadata, &mut problems).ok_or_else(|| problems.to_string())
    };
    let secret = ("password", "hunter2");
    let config = read(&[("url", "mqtt://b"), ("topic", "a"), ("clientID", "c"), ("username", "u"), secret]).unwrap();
    assert_eq!((config.client_id.as_deref(), config.password.as_ref().unwrap().expose()), (Some("c"), "hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
    let refused = read(&[("url", "mqtt://b"), ("topic", "a"), ("qos", "7")]).unwrap_err();
    assert_eq!(refused, "spec.metadata.qos: must be 0, 1 or 2, not 7");
}

mod messages {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::super::message::{Message, Terms, event};
    use super::Qos;

    fn check(
        content_type: Option<&str>,
        properties: &[(&str, &str)],
        payload: &'static [u8],
        json_body: bool,
    ) -> String {
        let message = Message {
            topic: "a/b".to_owned(),
            payload: Bytes::from_static(payload),
            qos: Qos::AtLeastOnce,
            packet: 1,
            retained: false,
            content_type: content_type.map(str::to_owned),
            properties: properties.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        };
        let terms = Terms { source: "/d/s/e", ty: "t", json_body, now: Timestamp::UNIX_EPOCH };
        match event(&message, &terms) {
            Ok(event) => {
                let text = |name| event.attribute(name).map(|value| value.into_text().into_owned()).unwrap_or_default();
                format!("{} {} {} {}", event.source(), event.ty(), text("subject"), text("datacontenttype"))
            }
            Err(poison) => poison.fault.chain(),
        }
    }

    #[test]
    fn what_is_no_event_becomes_one_of_its_topic() {
        assert_eq!(check(None, &[], b"{}", false), "/d/s/e t a/b application/json");
        assert_eq!(check(Some("text/csv"), &[("id", "7")], b"1,2", false), "/d/s/e t a/b text/csv");
        assert_eq!(check(None, &[], b"\xff", false), "/d/s/e t a/b ");
        assert!(check(None, &[], b"21.5 degrees", true).contains("the body, which must be JSON"));
    }

    #[test]
    fn events_are_kept_as_they_are() {
        let binary = [("specversion", "1.0"), ("id", "7"), ("source", "/x"), ("type", "y")];
        assert_eq!(check(Some("text/csv"), &binary, b"1,2", false), "/x y  text/csv");
        assert_eq!(
            check(None, &binary[..2], b"", false),
            "failed to read a message: it is no valid event (topic a/b): the required attribute source is missing or empty"
        );
    }
}
