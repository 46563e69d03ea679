//! Properties that hold for any event, in every format.

use http::HeaderMap;
use proptest::prelude::*;

use super::http::Message;
use super::{Format, http as binding, is_json, json, protobuf};
use crate::event::{Data, Draft, Event, Value};

/// What an event says, without the differences that a format cannot express: text for numbers and
/// truths in headers, strings for URIs and bytes in JSON, `datacontenttype` where JSON adds it.
fn meaning(event: &Event) -> (Vec<(String, String)>, Vec<u8>) {
    let mut attributes: Vec<_> =
        event.attributes().map(|(name, value)| (name.to_owned(), value.text().into_owned())).collect();
    for (name, value) in [("id", event.id()), ("source", event.source()), ("type", event.ty())] {
        attributes.push((name.to_owned(), value.to_owned()));
    }
    attributes.sort();
    (attributes, event.data_bytes().unwrap_or_default().to_vec())
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        any::<i32>().prop_map(Value::Integer),
        any::<String>().prop_map(Value::from),
        any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        "[a-z]{1,8}:[!-~]{0,20}".prop_map(|text| Value::Uri(text.into())),
        "/[!-~]{0,20}".prop_map(|text| Value::UriRef(text.into())),
    ]
}

/// A content type with data of its kind.
fn content() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop_oneof![
        any::<String>().prop_map(|text| ("text/plain; charset=utf-8", text.into_bytes())),
        any::<Vec<u8>>().prop_map(|bytes| ("application/octet-stream", bytes)),
        // Not what the content type claims: the bytes must survive all the same.
        any::<Vec<u8>>().prop_map(|bytes| ("application/json", bytes)),
        (any::<String>(), any::<i64>()).prop_map(|(key, number)| {
            ("application/vnd.shop+json", serde_json::json!({ key: [number, null] }).to_string().into_bytes())
        }),
    ]
}

prop_compose! {
    fn event()(
        id in "(?s).{1,20}",
        source in "(?s).{1,20}",
        ty in "(?s).{1,20}",
        subject in proptest::option::of(any::<String>()),
        time in proptest::option::of(0_i64..4_000_000_000),
        extensions in proptest::collection::btree_map("x[a-z0-9]{1,12}", value(), 0..6),
        content in proptest::option::of(content()),
    ) -> Event {
        let mut draft = Draft::new(id, source, ty);
        if let Some(subject) = subject {
            draft = draft.with("subject", subject);
        }
        if let Some(time) = time {
            draft = draft.with("time", jiff::Timestamp::from_second(time).unwrap().to_string());
        }
        for (name, value) in extensions {
            draft = draft.with(name, value);
        }
        let bytes;
        if let Some((content_type, data)) = content {
            draft = draft.with("datacontenttype", content_type);
            bytes = data;
            return draft.build_with(Some(Data::detect(&bytes))).unwrap();
        }
        draft.build().unwrap()
    }
}

/// JSON does not keep the white space around a JSON value: such data is compared without it.
fn trimmed(event: &Event) -> (Vec<(String, String)>, Vec<u8>) {
    let (attributes, data) = meaning(event);
    let json =
        event.data_content_type().is_some_and(is_json) && serde_json::from_slice::<serde_json::Value>(&data).is_ok();
    (attributes, if json { data.trim_ascii().to_vec() } else { data })
}

fn over_http(event: &Event) -> Message {
    let mut headers = HeaderMap::new();
    let body = binding::write_binary(event, &mut headers);
    binding::read(&headers, body).unwrap()
}

proptest! {
    #[test]
    fn json_gives_back_every_event(event in event()) {
        let mut bytes = Vec::new();
        json::write(&event, &mut bytes);
        prop_assert_eq!(trimmed(&json::parse(&bytes).unwrap()), trimmed(&event));
    }

    #[test]
    fn protobuf_gives_back_every_event(event in event()) {
        prop_assert_eq!(&protobuf::parse(protobuf::write(&event)).unwrap(), &event);
    }

    #[test]
    fn binary_http_gives_back_every_event(event in event()) {
        let Message::Event(read) = over_http(&event) else { panic!("an event was written") };
        prop_assert_eq!(meaning(&read), meaning(&event));
    }

    #[test]
    fn batches_give_back_every_event(events in proptest::collection::vec(event(), 0..4)) {
        for format in [Format::Json, Format::Protobuf] {
            let (content_type, body) = binding::write_batch(&events, format);
            let headers = HeaderMap::from_iter([(::http::header::CONTENT_TYPE, content_type)]);
            let Message::Batch(read) = binding::read(&headers, body).unwrap() else { panic!("a batch was written") };
            prop_assert!(read.iter().map(trimmed).eq(events.iter().map(trimmed)));
        }
    }

    #[test]
    fn the_sdk_reads_our_json_as_we_mean_it_and_we_read_its(event in event()) {
        let mut bytes = Vec::new();
        json::write(&event, &mut bytes);
        let theirs: cloudevents::Event = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&theirs, &cloudevents::Event::try_from(&json::parse(&bytes).unwrap()).unwrap());
        let again = json::parse(&serde_json::to_vec(&theirs).unwrap()).unwrap();
        prop_assert_eq!(cloudevents::Event::try_from(&again).unwrap(), theirs);
    }

    #[test]
    fn the_generated_type_reads_every_record(event in event()) {
        let theirs: crate::proto::cloudevents::CloudEvent = prost::Message::decode(event.record().clone()).unwrap();
        prop_assert_eq!((theirs.id.as_str(), theirs.source.as_str(), theirs.r#type.as_str()), (event.id(), event.source(), event.ty()));
        prop_assert_eq!(theirs.attributes.len(), event.attributes().count());
        let again = protobuf::parse(prost::Message::encode_to_vec(&theirs).into()).unwrap();
        prop_assert_eq!(again, event);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        // The outcome is free, the return is not.
        let outcomes = (
            json::parse(&bytes).is_ok(),
            json::parse_batch(text.as_bytes()).is_ok(),
            protobuf::parse(bytes.clone().into()).is_ok(),
            protobuf::parse_batch(bytes.into()).is_ok(),
        );
        prop_assert!(!(outcomes.0 && outcomes.2), "no bytes are both formats");
    }
}

#[test]
fn json_content_types_are_recognised_by_their_suffix() {
    for json in ["application/json", "text/JSON", "application/problem+json; charset=utf-8", "a/b+Json"] {
        assert!(is_json(json), "{json}");
    }
    for other in ["text/plain", "application/jsonl", "json", "+json", "", "application/xml; x=/json"] {
        assert!(!is_json(other), "{other}");
    }
}
