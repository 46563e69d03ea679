use bytes::Bytes;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value as Json, json};

use super::config::{Config, ExchangeKind};
use super::message::{Terms, attempt, event};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};

/// Settings with `more` added to what is always needed, and what is expected to be said.
fn check(more: &Json, expected: &[&str]) -> Config {
    let mut settings = json!({"url": "amqp://broker", "queue": "orders"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let raw = serde_json::from_value(settings).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root().field("r"), &Unresolved, &mut problems);
    let mut said: Vec<String> = problems.warnings().iter().map(|warning| format!("warning: {warning}")).collect();
    said.extend(problems.iter().map(ToString::to_string));
    assert_eq!(said, expected, "{more}");
    config
}

#[test]
fn the_address_names_the_virtual_host() {
    let vhost = |url: &str| {
        let config = check(&json!({"url": url}), &[]);
        (config.broker.unwrap().to_string(), config.vhost)
    };
    assert_eq!(vhost("amqp://broker"), ("broker:5672".to_owned(), "/".to_owned()));
    assert_eq!(vhost("amqps://broker/"), ("broker:5671".to_owned(), "/".to_owned()));
    assert_eq!(vhost("amqp://broker:1/shop"), ("broker:1".to_owned(), "shop".to_owned()));
    assert_eq!(vhost("amqp://broker/%2fa"), ("broker:5672".to_owned(), "/a".to_owned()));
    check(&json!({"url": "mqtt://broker"}), &["r.url: unknown scheme \"mqtt\" (known: amqp, amqps)"]);
}

#[test]
fn a_queue_or_an_exchange_is_needed_and_routing_keys_fit_the_type() {
    let config = check(&json!({"queue": null, "exchange": {"name": "x"}}), &[]);
    let exchange = config.exchange.unwrap();
    assert_eq!(
        (exchange.kind, exchange.routing_keys, exchange.durable),
        (ExchangeKind::Topic, vec!["#".to_owned()], true)
    );
    assert_eq!((config.prefetch, config.declare), (64, true));
    check(&json!({"queue": null}), &["r: needs \"queue\" or \"exchange\""]);
    check(&json!({"queue": ""}), &["r.queue: must have 1 to 255 bytes"]);
    check(&json!({"prefetch": 0}), &["r.prefetch: must be at least 1"]);
    check(
        &json!({"exchange": {"name": "x", "type": "fanout", "routingKeys": ["a"]}}),
        &["r.exchange.routingKeys: has no meaning for an exchange of this type"],
    );
    check(
        &json!({"exchange": {"name": "x", "type": "direct"}}),
        &["r.exchange.routingKeys: a direct exchange needs at least one"],
    );
    check(
        &json!({"exchange": {"name": "x", "type": "queue"}}),
        &["r.exchange.type: unknown value \"queue\" (known: direct, topic, fanout, headers)"],
    );
}

#[test]
fn login_and_tls_must_agree_with_the_address() {
    check(&json!({"password": {"env": "P"}}), &["r: \"password\" needs \"username\""]);
    check(&json!({"tls": {"ca": {"file": "ca"}}}), &["r.url: amqp:// has no TLS: use amqps://"]);
    assert!(check(&json!({"url": "amqps://b"}), &[]).tls.is_some());
    let warning = "warning: r.url: a password in an address can be read by everyone who reads this file";
    let config = check(&json!({"url": "amqp://u:p%2f@b/v"}), &[warning]);
    assert_eq!(config.login.as_ref().unwrap().1.expose(), "p/");
    assert!(!format!("{config:?}").contains("p/"), "{config:?}");
}

fn read(properties: &BasicProperties, body: &'static [u8], json_body: bool) -> String {
    let terms = Terms { source: "/d/s/e", ty: "t", json_body, now: Timestamp::UNIX_EPOCH };
    match event("a.b", properties, Bytes::from_static(body), &terms) {
        Ok(event) => {
            let text = |name| event.attribute(name).map(|value| value.into_text().into_owned()).unwrap_or_default();
            let names = ["subject", "time", "datacontenttype", "n"].map(text);
            format!("{} {} {} {}", event.id(), event.source(), event.ty(), names.join(" "))
        }
        Err(poison) => poison.fault.chain(),
    }
}

#[test]
fn what_is_no_event_becomes_one_of_its_properties() {
    let properties = BasicProperties::default().with_message_id("m1".into()).with_timestamp(60);
    assert_eq!(read(&properties, b"{}", false), "m1 /d/s/e t a.b 1970-01-01T00:01:00Z application/json ");
    assert!(read(&BasicProperties::default(), b"hi", false).ends_with(" /d/s/e t a.b 1970-01-01T00:00:00Z  "));
    assert!(read(&properties, b"hi", true).contains("the body, which must be JSON"));
}

#[test]
fn events_are_kept_whatever_stands_before_the_names_of_their_attributes() {
    for prefix in ["cloudEvents:", "cloudEvents_", "ce-"] {
        let mut headers = FieldTable::default();
        for (name, text) in [("specversion", "1.0"), ("id", "7"), ("source", "/x"), ("type", "y")] {
            headers.insert(format!("{prefix}{name}").into(), AMQPValue::LongString(text.into()));
        }
        headers.insert(format!("{prefix}n").into(), AMQPValue::LongInt(5));
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(2));
        let properties = BasicProperties::default().with_headers(headers).with_content_type("text/csv".into());
        assert_eq!(read(&properties, b"1,2", false), "7 /x y   text/csv 5");
        assert_eq!((attempt(&properties, true), attempt(&BasicProperties::default(), true)), (3, 2));
    }
}
