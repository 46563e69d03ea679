use bytes::Bytes;

use super::*;
use crate::event::Draft;

type Headers = Vec<(String, String)>;

fn written(event: &Event) -> (Headers, Bytes) {
    let mut headers = Vec::new();
    let payload = write_binary(event, |name, value| headers.push((name.to_owned(), value.to_owned())));
    (headers, payload)
}

fn read_back(headers: &[(&str, &str)], payload: &str) -> Result<Message, InvalidEvent> {
    read(headers.iter().copied(), Bytes::copy_from_slice(payload.as_bytes()))
}

fn check_round(event: &Event) {
    let (headers, payload) = written(event);
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(read(headers, payload).unwrap(), Message::Event(event.clone()));
    let mut content_type = None;
    let payload = write_structured(event, Format::Protobuf, |_, value| content_type = Some(value.to_owned()));
    let headers = content_type.iter().map(|value| ("Content-Type", value.as_str()));
    assert_eq!(read(headers, payload).unwrap(), Message::Event(event.clone()));
}

#[test]
fn binary_mode_keeps_types_text_and_emptiness() {
    let full = Draft::new("1", "/s?x=\"1\"", "t")
        .with("subject", "Bestellung % 世界\n")
        .with("datacontenttype", "application/json; charset=utf-8")
        .with("dataschema", Value::Uri("https://example.com/schema".into()))
        .with("flag", true)
        .with("number", i32::MIN)
        .with("digest", Value::Bytes(vec![0, 255].into()))
        .with("link", Value::UriRef("../other".into()))
        .with("empty", "");
    for draft in [full, Draft::new("1", "s", "t")] {
        check_round(&draft.build().unwrap());
        for data in [Data::Text(""), Data::Text("{}"), Data::Binary(b""), Data::Binary(b"text"), Data::Binary(&[255])] {
            check_round(&draft.clone().data(data).build().unwrap());
        }
    }
}

#[test]
fn only_what_differs_is_told_in_our_own_header() {
    let event = Draft::new("1", "s", "t").with("datacontenttype", "text/plain").data(Data::Text("x")).build().unwrap();
    let (headers, payload) = written(&event);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-datacontenttype", "content-type"]);
    assert_eq!(payload, "x");
}

#[test]
fn other_producers_messages_are_recognised() {
    let is_event = |message: Result<Message, InvalidEvent>| match message.unwrap() {
        Message::Event(event) => event.id() == "1",
        _ => false,
    };
    let json = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{}}"#;
    assert!(is_event(read_back(&[], json)), "bare structured JSON");
    assert!(is_event(read_back(&[("Content-Type", "application/cloudevents+json")], json)));
    let binary = [("Ce-Specversion", "1.0"), ("CE-ID", "1"), ("ce-source", "s"), ("ce-type", "t")];
    assert!(is_event(read_back(&binary, "x")));
    assert_eq!(read_back(&[], "hello").unwrap(), Message::Opaque);
    assert_eq!(read_back(&[("content-type", "text/plain"), ("x", "y")], "hello").unwrap(), Message::Opaque);
    assert!(read_back(&[("ce-id", "1")], "x").is_err());
    assert!(read_back(&[("content-type", "application/cloudevents+json")], "x").is_err());
}

#[test]
fn a_forged_kind_costs_nothing() {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "s"),
        ("ce-type", "t"),
        ("ce-n", "x"),
        (KINDS, "n=integer,,o=bytes,z"),
    ];
    let Message::Event(event) = read_back(&headers, "").unwrap() else { panic!("no event") };
    assert_eq!(event.attribute("n"), Some(Value::String("x".into())));
}
