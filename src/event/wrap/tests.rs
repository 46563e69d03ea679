use super::*;

fn wrapping(content_type: Option<&'static str>, body: Body) -> Wrapping<'static> {
    Wrapping { id: "1".into(), source: "/s", ty: "t", subject: None, time: None, content_type, body }
}

#[test]
fn bytes_are_json_then_text_then_binary_unless_someone_knows_better() {
    let check = |given: Option<&'static str>, body: Body, bytes: &[u8], content_type: Option<&str>| {
        let draft = wrapping(given, body).draft(bytes).unwrap();
        let event = draft.build().unwrap();
        assert_eq!(event.data_content_type(), content_type);
        assert_eq!(event.data_bytes().unwrap_or_default(), bytes);
        assert_eq!(event.data().is_none(), bytes.is_empty());
    };
    check(None, Body::Detect, b" {\"a\": 1}\n", Some("application/json"));
    check(None, Body::Detect, b"hello", None);
    check(None, Body::Detect, &[0xFF], None);
    check(None, Body::Detect, b"", None);
    check(Some("text/plain"), Body::Detect, b"1", Some("text/plain"));
    check(Some("text/plain"), Body::Json, b"1", Some("application/json"));
    check(Some("a/b+json"), Body::Json, b"[]", Some("a/b+json"));
    check(Some("image/png"), Body::Detect, &[0x89, 0x50], Some("image/png"));
}

#[test]
fn promised_json_that_is_none_is_poison() {
    let check = |bytes: &[u8], expected: &str| {
        let error = wrapping(None, Body::Json).event(bytes).unwrap_err().to_string();
        assert!(error.starts_with("the body, which must be JSON, cannot be read: "), "{error}");
        assert!(error.ends_with(expected), "{error}");
    };
    check(b"hello", "expected value at line 1 column 1");
    check(b"", "EOF while parsing a value at line 1 column 0");
    check(&[0xFF], "it is not even text");
}

#[test]
fn what_the_origin_knows_becomes_attributes() {
    let mut wrapping = wrapping(None, Body::Detect);
    wrapping.subject = Some("orders/1".into());
    wrapping.time = Some("2026-11-24T10:00:00Z".into());
    let event = wrapping.event(b"x").unwrap();
    assert_eq!((event.id(), event.source(), event.ty()), ("1", "/s", "t"));
    assert_eq!((event.subject(), event.time()), (Some("orders/1"), Some("2026-11-24T10:00:00Z")));
}
