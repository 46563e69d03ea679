use serde_json::{Value as Json, json};

use super::config::{Config, Mode, Selection};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems};

/// What is expected to be said of settings.
fn check(settings: &Json, expected: &[&str]) -> Config {
    let raw = serde_json::from_value(settings.clone()).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root().field("s"), &Unresolved, &mut problems);
    let said: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    assert_eq!(said, expected, "{settings}");
    config
}

#[test]
fn each_mode_has_its_fields() {
    let webhook = check(&json!({"mode": "webhook", "port": 9000, "bearer": {"env": "T"}, "bucket": "photos"}), &[]);
    assert_eq!((webhook.mode, webhook.selection.events.len()), (Mode::Webhook, 0));
    let secret = json!({"env": "X"});
    let listen = json!({
        "mode": "listen", "endpoint": "https://minio", "accessKey": secret, "secretKey": secret,
        "filter": {"prefix": "in/", "suffix": ".jpg"},
    });
    let listen = check(&listen, &[]);
    assert_eq!(listen.selection.events, ["s3:ObjectCreated:*"]);
    let Mode::Listen(listen) = listen.mode else { panic!("{:?}", listen.mode) };
    assert_eq!((listen.server.unwrap().to_string().as_str(), listen.tls), ("minio:443", true));
    assert_eq!((listen.region.as_str(), listen.login.is_some()), ("us-east-1", true));
    let own = json!({"mode": "listen", "endpoint": "https://minio", "caCert": {"file": "ca.crt"}});
    let Mode::Listen(listen) = check(&own, &[]).mode else { panic!("it is no webhook") };
    assert!(listen.ca.is_some());
}

#[test]
fn what_is_wrong_is_named() {
    check(&json!({"mode": "poll"}), &["s.mode: unknown value \"poll\""]);
    check(
        &json!({"mode": "webhook", "endpoint": "http://a", "secretKey": {"env": "X"}}),
        &["s.endpoint: belongs to the mode listen only", "s.secretKey: belongs to the mode listen only"],
    );
    check(
        &json!({"mode": "listen", "endpoint": "http://minio", "caCert": {"file": "ca.crt"}}),
        &["s.endpoint: http:// has no TLS for \"caCert\": use https://"],
    );
    check(
        &json!({"mode": "listen", "port": 1, "accessKey": {"env": "X"}}),
        &["s.port: belongs to the mode webhook only", "s: needs \"endpoint\"", "s: \"accessKey\" needs \"secretKey\""],
    );
    check(
        &json!({"mode": "listen", "endpoint": "ftp://a", "bucket": "a/b", "events": ["s3:", "ObjectCreated:*"]}),
        &[
            "s.bucket: \"a/b\" is not the name of a bucket",
            "s.events[0]: \"s3:\" is not the name of a notification",
            "s.events[1]: \"ObjectCreated:*\" is not the name of a notification",
            "s.endpoint: unknown scheme \"ftp\"",
        ],
    );
}

#[test]
fn notifications_are_selected() {
    let selection = Selection {
        bucket: Some("photos".to_owned()),
        events: vec!["s3:ObjectCreated:*".to_owned(), "s3:ObjectRemoved:Delete".to_owned()],
        prefix: "in/".to_owned(),
        suffix: ".jpg".to_owned(),
    };
    assert!(selection.takes("photos", "ObjectCreated:Put", "in/a.jpg"));
    assert!(selection.takes("photos", "ObjectRemoved:Delete", "in/a.jpg"));
    assert!(!selection.takes("photos", "ObjectRemoved:DeleteMarkerCreated", "in/a.jpg"));
    assert!(!selection.takes("other", "ObjectCreated:Put", "in/a.jpg"));
    assert!(!selection.takes("photos", "ObjectCreated:Put", "in/a.png"));
    assert!(Selection::default().takes("any", "ObjectAccessed:Get", "key"));
}

mod records {
    use serde_json::{Value as Json, json};

    use super::super::record::posted;
    use super::{Config, Mode, Selection};
    use crate::event::Event;

    /// A record as AWS writes it.
    fn record(key: &str) -> Json {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
            "eventTime": "2026-01-31T12:00:00.000Z", "eventName": "ObjectCreated:Put",
            "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
            "s3": {"bucket": {"name": "photos"}, "object": {"key": key, "size": 3, "sequencer": "0055AED6DCD90281E5"}},
        })
    }

    fn read(body: &Json, selection: Selection) -> Result<Vec<Event>, String> {
        let config = Config { selection, region: Some("here".to_owned()), mode: Mode::Webhook };
        posted(body.to_string().as_bytes(), &config).map_err(|error| error.to_string())
    }

    fn text(event: &Event, name: &str) -> String {
        event.attribute(name).map(|value| value.into_text().into_owned()).unwrap_or_default()
    }

    #[test]
    fn each_record_is_an_event_as_the_adapter_has_it() {
        let body = json!({"Records": [record("a+b.jpg"), record("c.jpg")]});
        let events = read(&body, Selection::default()).unwrap();
        let [first, second] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((first.source(), first.ty()), ("aws:s3.eu-west-1.photos", "com.amazonaws.s3.ObjectCreated:Put"));
        assert_eq!(
            (text(first, "subject").as_str(), text(first, "time").as_str()),
            ("a+b.jpg", "2026-01-31T12:00:00.000Z")
        );
        assert_eq!(text(first, "datacontenttype"), "application/json");
        assert!(first.id().starts_with("C3D13FE58DE4C810.FMyUVURIY8."), "{}", first.id());
        assert_ne!(first.id(), second.id(), "one request may have many objects");
        assert_eq!(serde_json::from_slice::<Json>(&first.data_bytes().unwrap()).unwrap(), record("a+b.jpg"));
        assert_eq!(read(&body, Selection::default()).unwrap()[0].id(), first.id());
    }

    #[test]
    fn minio_names_no_region_and_begins_names_with_s3() {
        let mut record = record("c.jpg");
        record["eventSource"] = json!("minio:s3");
        record["awsRegion"] = json!("");
        record["eventName"] = json!("s3:ObjectRemoved:Delete");
        record["responseElements"] = json!({"x-amz-request-id": "1"});
        let body = json!({"EventName": "s3:ObjectRemoved:Delete", "Key": "photos/c.jpg", "Records": [record]});
        let event = read(&body, Selection::default()).unwrap().remove(0);
        assert_eq!((event.source(), event.ty()), ("minio:s3.here.photos", "com.amazonaws.s3.ObjectRemoved:Delete"));
        assert!(event.id().starts_with("1.") && event.id().len() == 18, "{}", event.id());
    }

    #[test]
    fn only_what_counts_is_an_event() {
        let body = json!({"Records": [record("in/a+b.jpg"), record("out/c.jpg")]});
        let selection = Selection { prefix: "in/a b".to_owned(), ..Selection::default() };
        assert_eq!(read(&body, selection).unwrap().len(), 1);
        assert!(read(&json!({"Records": null}), Selection::default()).unwrap().is_empty());
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"});
        assert!(read(&test, Selection::default()).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_notification_is_refused() {
        let check = |body: Json, expected: &str| {
            let refused = read(&body, Selection::default()).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        };
        check(json!({"order": 1}), "the S3 notification cannot be read: it has no Records");
        check(json!({"Type": "Notification", "Message": "{}"}), "it has no Records");
        check(json!({"Records": [{"eventSource": "aws:s3"}]}), "missing field `eventTime`");
    }
}
