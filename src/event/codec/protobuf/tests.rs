use super::*;
use crate::proto::cloudevents::CloudEventBatch;

fn sample() -> Event {
    Draft::new("42", "/shop", "order").with("count", -3).data(Data::Text("{}")).build().unwrap()
}

fn message() -> CloudEvent {
    CloudEvent::decode(sample().record().clone()).unwrap()
}

fn put(message: &mut CloudEvent, name: &str, attr: Attr) {
    message.attributes.insert(name.to_owned(), CloudEventAttributeValue { attr: Some(attr) });
}

fn read(message: &CloudEvent) -> Result<Event, InvalidEvent> {
    parse(message.encode_to_vec().into())
}

#[test]
fn an_event_without_a_timestamp_shares_its_bytes_both_ways() {
    let event = sample();
    let written = write(&event);
    assert_eq!(written.as_ptr(), event.record().as_ptr());
    assert_eq!(parse(written.clone()).unwrap().record().as_ptr(), written.as_ptr());
}

#[test]
fn a_timestamp_is_text_inside_and_a_message_outside() {
    let check = |text: &str, seconds: i64, nanos: i32, back: &str| {
        let event = sample().draft().with("time", text.to_owned()).build().unwrap();
        let bytes = write(&event);
        let outside = CloudEvent::decode(bytes.clone()).unwrap();
        assert_eq!(outside.attributes["time"].attr, Some(Attr::CeTimestamp(prost_types::Timestamp { seconds, nanos })));
        assert_eq!(parse(bytes).unwrap().time(), Some(back));
    };
    check("1970-01-01T01:00:01.5+01:00", 1, 500_000_000, "1970-01-01T00:00:01.5Z");
    check("1969-12-31T23:59:59.25Z", -1, 250_000_000, "1969-12-31T23:59:59.25Z");
}

#[test]
fn protobuf_data_becomes_binary_and_names_its_schema() {
    let mut message = message();
    let any = prost_types::Any { type_url: "type.example/Order".to_owned(), value: vec![8, 1] };
    message.data = Some(ProtoData::ProtoData(any));
    let event = read(&message).unwrap();
    assert_eq!(event.data(), Some(Data::Binary(&[8, 1])));
    assert_eq!(event.data_content_type(), Some("application/protobuf"));
    assert_eq!(event.data_schema(), Some("type.example/Order"));
    put(&mut message, "datacontenttype", Attr::CeString("application/x-protobuf".to_owned()));
    put(&mut message, "dataschema", Attr::CeUri("urn:mine".to_owned()));
    let event = read(&message).unwrap();
    assert_eq!((event.data_content_type(), event.data_schema()), (Some("application/x-protobuf"), Some("urn:mine")));
}

#[test]
fn what_is_no_cloudevent_is_refused_with_its_reason() {
    let check = |change: fn(&mut CloudEvent), expected: &str| {
        let mut message = message();
        change(&mut message);
        assert_eq!(read(&message).unwrap_err().to_string(), expected);
    };
    check(|m| m.id.clear(), "the required attribute id is missing or empty");
    check(|m| m.spec_version.clear(), "specversion is \"\", only \"1.0\" is supported");
    check(|m| put(m, "time", Attr::CeString("later".to_owned())), "time \"later\" is not an RFC 3339 timestamp");
    check(|m| put(m, "time", Attr::CeInteger(5)), "attribute time: it must be text");
    check(
        |m| put(m, "time", Attr::CeTimestamp(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })),
        "time \"9223372036854775807s 0ns\" is not an RFC 3339 timestamp",
    );
    check(|m| put(m, "id", Attr::CeString("other".to_owned())), "attribute id: it is given more than once");
    check(
        |m| put(m, "Bad-Name", Attr::CeBoolean(true)),
        "attribute name \"Bad-Name\" is not made of lower-case letters and digits (at most 64)",
    );
}

#[test]
fn truncated_messages_are_refused_or_shorter_events() {
    let event = sample().draft().with("time", "2026-11-24T10:00:00Z").build().unwrap();
    let bytes = write(&event);
    for cut in 0..bytes.len() {
        if let Ok(shorter) = parse(bytes.slice(..cut)) {
            assert_eq!(shorter.id(), "42", "cut at {cut}");
        }
    }
    assert!(parse(Bytes::new()).is_err());
}

#[test]
fn batches_are_those_of_the_generated_type() {
    assert_eq!(parse_batch(Bytes::new()).unwrap(), []);
    let events = [sample(), sample().draft().with("time", "2026-11-24T10:00:00Z").build().unwrap()];
    let bytes = write_batch(&events);
    let theirs = CloudEventBatch::decode(bytes.clone()).unwrap();
    assert_eq!(theirs.events.len(), 2);
    assert_eq!(theirs.encode_to_vec().len(), bytes.len());
    assert_eq!(parse_batch(bytes.clone()).unwrap(), events);
    for cut in 1..bytes.len() {
        if let Ok(shorter) = parse_batch(bytes.slice(..cut)) {
            assert_eq!(shorter.len(), 1, "cut at {cut}");
        }
    }
    assert!(parse_batch(Bytes::from_static(&[0x12, 0])).is_err());
}
