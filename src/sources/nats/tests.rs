use serde_json::{Value as Json, json};

use super::config::{Config, Login, Reading, Start};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};

/// Settings with `more` added to what is always needed, and what is expected to be said.
fn check(more: &Json, expected: &[&str]) -> Config {
    let mut settings = json!({"url": "nats://server", "subject": "orders.*"});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let raw = serde_json::from_value(settings).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root().field("n"), &Unresolved, &mut problems);
    let said: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    assert_eq!(said, expected, "{more}");
    config
}

#[test]
fn a_subject_is_read_from_the_core_or_from_a_stream() {
    let core = check(&json!({"queueGroup": "g"}), &[]);
    assert_eq!(core.reading, Reading::Core { queue_group: Some("g".to_owned()) });
    assert_eq!(core.access.servers[0].to_string(), "server:4222");
    let stream = check(&json!({"jetstream": {"stream": "ORDERS", "deliverPolicy": "new"}}), &[]);
    let expected = Reading::Stream { stream: "ORDERS".to_owned(), durable: None, start: Start::New };
    assert_eq!(stream.reading, expected);
}

#[test]
fn every_login_is_read_and_excludes_the_others() {
    let secret = json!({"env": "X"});
    assert!(matches!(check(&json!({"nkey": secret}), &[]).access.login, Login::Nkey(_)));
    assert!(matches!(check(&json!({"credentials": secret}), &[]).access.login, Login::Credentials(_)));
    assert!(matches!(check(&json!({"user": secret, "password": secret}), &[]).access.login, Login::User { .. }));
    check(
        &json!({"nkey": secret, "token": secret}),
        &["n: \"user\" with \"password\", \"token\", \"credentials\" and \"nkey\" exclude each other"],
    );
    assert!(check(&json!({"url": "tls://a, tls://b:1"}), &[]).access.tls.is_some());
}

#[test]
fn names_and_subjects_have_a_syntax() {
    for legal in ["a", "a.b", "*", ">", "a.*.>", "$SYS.x", "a-b_c"] {
        check(&json!({"subject": legal}), &[]);
    }
    for illegal in ["", ".a", "a..b", "a.", ">.a", "a b"] {
        check(&json!({"subject": illegal}), &[&format!("n.subject: {illegal:?} is not a subject")]);
    }
    check(&json!({"url": "http://a"}), &["n.url: unknown scheme \"http\""]);
    check(&json!({"queueGroup": "a b"}), &["n.queueGroup: \"a b\" must be a name without spaces"]);
    check(
        &json!({"queueGroup": "g", "jetstream": {"stream": "a.b", "durable": "", "deliverPolicy": "old"}}),
        &[
            "n.queueGroup: belongs to core subjects",
            "n.jetstream.deliverPolicy: unknown value \"old\"",
            "n.jetstream.durable: \"\" is not the name of a stream or a consumer",
            "n.jetstream.stream: \"a.b\" is not the name of a stream or a consumer",
        ],
    );
    assert_eq!(super::source::durable_name("shop/web.eu/order_paid"), "penstock_shop_web=eu_order_paid");
}

#[test]
fn a_component_has_the_same_settings() {
    let read = |pairs: &[(&str, &str)]| {
        let metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut problems = Problems::new();
        Config::from_metadata(&metadata, &mut problems).ok_or_else(|| problems.to_string())
    };
    let common = [("url", "nats://a"), ("subject", "s"), ("nkey", "SUSEED")];
    let config = read(&[&common[..], &[("jetstream.stream", "S"), ("jetstream.durable", "d")]].concat()).unwrap();
    let Reading::Stream { durable, .. } = &config.reading else { panic!("{:?}", config.reading) };
    assert_eq!(durable.as_deref(), Some("d"));
    assert!(!format!("{config:?}").contains("SUSEED"));
    let refused = read(&[("url", "nats://a"), ("subject", "s"), ("queuegroup", "S")]).unwrap_err();
    assert!(refused.contains("unknown field \"queuegroup\" (did you mean \"queueGroup\"?"), "{refused}");
}

mod messages {
    use async_nats::{HeaderMap, Message};
    use jiff::Timestamp;

    use super::super::message::{Terms, event};

    fn check(headers: &[(&str, &str)], payload: &'static [u8], place: Option<(&str, u64)>) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        let message = Message {
            subject: "orders.paid".into(),
            reply: None,
            payload: payload.into(),
            headers: Some(map),
            status: None,
            description: None,
            length: 0,
        };
        let terms = Terms { source: "/d/s/e", ty: "t", json_body: false, time: Timestamp::UNIX_EPOCH, place };
        match event(&message, &terms) {
            Ok(event) => {
                let text = |name| event.attribute(name).map(|value| value.into_text().into_owned()).unwrap_or_default();
                let id = if event.id().len() == 36 { "uuid" } else { event.id() };
                format!("{id} {} {} {} {}", event.source(), event.ty(), text("subject"), text("datacontenttype"))
            }
            Err(poison) => poison.fault.chain(),
        }
    }

    #[test]
    fn what_is_no_event_becomes_one_of_its_place() {
        let place = Some(("ORDERS", 7));
        assert_eq!(check(&[], b"{}", place), "ORDERS-7 /d/s/e t orders.paid application/json");
        assert_eq!(check(&[("Nats-Msg-Id", "m1")], b"x", place), "m1 /d/s/e t orders.paid ");
        assert_eq!(check(&[("Content-Type", "text/csv")], b"1,2", None), "uuid /d/s/e t orders.paid text/csv");
    }

    #[test]
    fn events_are_kept_as_they_are() {
        let binary = [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/x"), ("ce-type", "y")];
        assert_eq!(check(&binary, b"", Some(("S", 1))), "7 /x y  ");
        let structured = br#"{"specversion":"1.0","id":"8","source":"/x","type":"y","data":1}"#;
        let header = [("content-type", "application/cloudevents+json")];
        assert_eq!(check(&header, structured, None), "8 /x y  application/json");
        assert!(check(&binary[..2], b"", None).contains("it is no valid event"));
    }
}
