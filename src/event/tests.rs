use bytes::Bytes;

use super::*;

fn sample() -> Event {
    Draft::new("42", "/shop/orders", "com.shop.order")
        .with("subject", "orders/42")
        .with("time", "2026-11-24T10:00:00.5+01:00")
        .with("datacontenttype", "application/json")
        .with("priority", -3)
        .with("urgent", true)
        .with("digest", Value::Bytes(vec![0, 159, 146].into()))
        .data(Data::Text("{\"total\": 1.0}"))
        .build()
        .unwrap()
}

#[test]
fn every_attribute_and_the_data_are_read_back_as_written() {
    let event = sample();
    assert_eq!((event.id(), event.source(), event.ty()), ("42", "/shop/orders", "com.shop.order"));
    assert_eq!(event.time(), Some("2026-11-24T10:00:00.5+01:00"));
    assert_eq!(event.attribute("priority"), Some(Value::Integer(-3)));
    assert_eq!(event.attribute("urgent"), Some(Value::Boolean(true)));
    assert_eq!(event.attribute("digest").unwrap().text(), "AJ+S");
    assert_eq!(event.attribute("specversion").unwrap().text(), "1.0");
    assert_eq!(event.attribute("missing"), None);
    assert_eq!(event.data(), Some(Data::Text("{\"total\": 1.0}")));
}

#[test]
fn a_record_is_read_back_to_the_same_event_without_copying() {
    let event = sample();
    let again = record::read(event.record().clone()).unwrap();
    assert_eq!(again, event);
    assert_eq!(again.data_bytes().unwrap().as_ptr(), event.data_bytes().unwrap().as_ptr());
    assert_eq!(event.draft().build().unwrap(), event);
}

#[test]
fn a_second_value_replaces_the_first_and_without_removes() {
    let event = sample();
    let changed = event.draft().with("subject", "other").with("id", "43").without("urgent").build().unwrap();
    assert_eq!(changed.id(), "43");
    assert_eq!(changed.subject(), Some("other"));
    assert_eq!(changed.attribute("urgent"), None);
}

#[test]
fn what_is_no_cloudevent_is_refused_with_its_reason() {
    let check = |draft: Draft<'_>, expected: &str| assert_eq!(draft.build().unwrap_err().to_string(), expected);
    check(Draft::new("", "s", "t"), "the required attribute id is missing or empty");
    check(Draft::new("1", "", "t"), "the required attribute source is missing or empty");
    check(Draft::new("1", "s", ""), "the required attribute type is missing or empty");
    check(
        Draft::new("1", "s", "t").with("My-Name", "x"),
        "attribute name \"My-Name\" is not made of lower-case letters and digits (at most 64)",
    );
    check(Draft::new("1", "s", "t").with("time", "yesterday"), "time \"yesterday\" is not an RFC 3339 timestamp");
}

#[test]
fn damaged_records_are_refused_and_never_panic() {
    let good = sample().record().to_vec();
    for cut in 0..good.len() {
        // A record cut anywhere is refused, or is a shorter valid message; it never panics.
        if let Ok(event) = record::read(Bytes::copy_from_slice(&good[..cut])) {
            assert_eq!(event.id(), "42");
        }
    }
    for at in 0..good.len() {
        for flip in [0x01, 0x80, 0xFF] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            if let Ok(event) = record::read(bad.into()) {
                assert!(format!("{event:?}").starts_with("Event"));
                assert_eq!(event.attributes().count(), event.attributes.len());
            }
        }
    }
}
