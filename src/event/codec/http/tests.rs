use super::*;
use crate::event::{Data, Draft};

fn headers(pairs: &[(&'static str, &'static [u8])]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap())).collect()
}

fn message(more: &[(&'static str, &'static [u8])]) -> HeaderMap {
    let mut all: Vec<(&str, &[u8])> =
        vec![("CE-SpecVersion", b"1.0"), ("ce-id", b"1"), ("ce-source", b"/s"), ("ce-type", b"t")];
    all.extend(more);
    let mut map = HeaderMap::new();
    for (name, value) in all {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    map
}

fn event(headers: &HeaderMap, body: &'static [u8]) -> Event {
    match read(headers, Bytes::from_static(body)).unwrap() {
        Message::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn binary_mode_maps_headers_to_attributes_and_the_body_to_data() {
    let map = message(&[("Ce-Subject", b"a%20b%25%e2%82%ac"), ("content-type", b"text/plain"), ("x-other", b"y")]);
    let event = event(&map, b"hello");
    assert_eq!(event.subject(), Some("a b%€"));
    assert_eq!(event.data_content_type(), Some("text/plain"));
    assert_eq!(event.data(), Some(Data::Text("hello")));
    assert_eq!(event.attributes().count(), 2);
}

#[test]
fn header_text_is_decoded_once_and_liberally() {
    let check = |value: &'static [u8], expected: &str| {
        assert_eq!(event(&message(&[("ce-x", value)]), b"").attribute("x"), Some(Value::from(expected)));
    };
    check(b"plain", "plain");
    check(b"%2520", "%20");
    check(b"%41%4a%4A", "AJJ");
    check(b"100%", "100%");
    check(b"%zz%4", "%zz%4");
    check(b"\"quoted \\\"text\\\" %20\"", "quoted \"text\"  ");
    check(b"\"", "\"");
    check("grün".as_bytes(), "grün");
}

#[test]
fn what_claims_to_be_an_event_and_is_none_is_refused() {
    let check = |headers: &HeaderMap, body: &'static str, expected: &str| {
        let error = read(headers, body.into()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(&headers(&[("ce-id", b"1")]), "", "the required attribute specversion is missing");
    check(&headers(&[("ce-specversion", b"1.0"), ("ce-id", b"1")]), "", "the required attribute source is missing");
    check(&headers(&[("ce-specversion", b"2.0"), ("ce-id", b"1")]), "", "specversion is \"2.0\"");
    check(&message(&[("ce-x", b"\xFF")]), "", "attribute x: the ce-x header is not UTF-8 after percent-decoding");
    check(&message(&[("ce-x", b"%ff")]), "", "attribute x: the ce-x header is not UTF-8 after percent-decoding");
    check(&message(&[("ce-id", b"2")]), "", "attribute id: it is given more than once");
    check(&message(&[("ce-x", b"1"), ("ce-x", b"2")]), "", "attribute x: it is given more than once");
    check(&message(&[("ce-my-name", b"x")]), "", "attribute name \"my-name\" is not made of");
    check(&message(&[("ce-time", b"now")]), "", "time \"now\" is not");
    check(
        &message(&[("content-type", b"text/\xFF")]),
        "",
        "the content type cannot be read: it is not printable ASCII",
    );
    let typed = |content_type: &'static [u8]| headers(&[("content-type", content_type)]);
    check(&typed(b"application/cloudevents+json"), "{}", "the required attribute specversion is missing");
    check(&typed(b"application/cloudevents+json"), "{", "JSON cannot be read");
    check(
        &typed(b"application/cloudevents+xml"),
        "",
        "the content type cannot be read: application/cloudevents+xml names",
    );
    check(&typed(b"application/cloudevents"), "", "the content type cannot be read: application/cloudevents names");
    check(
        &typed(b"application/cloudevents+json; charset=latin1"),
        "",
        "the content type cannot be read: charset latin1",
    );
    check(&typed(b"application/cloudevents-batch+json"), "{}", "JSON cannot be read");
}

#[test]
fn the_content_type_chooses_the_mode() {
    const ONE: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let read_as = |content_type: &'static str, body: Bytes| {
        read(&headers(&[("content-type", content_type.as_bytes())]), body).unwrap()
    };
    let expected = json::parse(ONE.as_bytes()).unwrap();
    let batch = Message::Batch(vec![expected.clone()]);
    let one = Message::Event(expected.clone());
    assert_eq!(read_as("application/cloudevents+json", ONE.into()), one);
    assert_eq!(read_as("Application/CloudEvents+JSON; charset=\"UTF-8\"", ONE.into()), one);
    assert_eq!(read_as("application/cloudevents+protobuf", expected.record().clone()), one);
    assert_eq!(read_as("application/cloudevents-batch+json; charset=utf-8", format!("[{ONE}]").into()), batch);
    assert_eq!(read_as("application/cloudevents-batch+protobuf", protobuf::write_batch([&expected])), batch);
    assert_eq!(read_as("application/cloudevents-batch+json", "[]".into()), Message::Batch(vec![]));
    assert_eq!(read_as("application/json", ONE.into()), Message::Opaque);
    assert_eq!(read(&headers(&[("content-type", b"\xFF"), ("ce-type", b"t")]), Bytes::new()).unwrap(), Message::Opaque);
}

#[test]
fn binary_mode_is_written_as_the_binding_wants_and_shares_the_bytes() {
    let event = Draft::new("1", "/s p", "t")
        .with("datacontenttype", "text/plain; charset=utf-8")
        .with("subject", "Euro € \"x\" 100%")
        .with("count", -1)
        .data(Data::Text("hello"))
        .build()
        .unwrap();
    let mut map = HeaderMap::new();
    let body = write_binary(&event, &mut map);
    assert_eq!(body.as_ptr(), event.data_bytes().unwrap().as_ptr());
    let check = |name: &str, expected: &str| assert_eq!(map[name], expected);
    check("ce-specversion", "1.0");
    check("ce-source", "/s%20p");
    check("ce-subject", "Euro%20%E2%82%AC%20%22x%22%20100%25");
    check("ce-count", "-1");
    check("content-type", "text/plain; charset=utf-8");
    assert_eq!(map.len(), 7);
}

#[test]
fn a_content_type_that_no_header_can_hold_is_encoded() {
    let event = Draft::new("1", "/s", "t").with("datacontenttype", "text/plain\r\nx: y").build().unwrap();
    let mut map = HeaderMap::new();
    write_binary(&event, &mut map);
    assert_eq!(map["content-type"], "text/plain%0D%0Ax:%20y");
}
