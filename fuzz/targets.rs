//! What is fuzzed: each parser of what comes from outside, as a function over bytes that must return.
//!
//! `cargo fuzz run NAME` calls these from `fuzz_targets`; `tests/it/fuzz.rs` calls them with the corpus and with
//! changed copies of it in every `cargo test`.

#![allow(dead_code, reason = "a fuzz target uses one of them")]

use bytes::Bytes;
use penstock::api::filter::Filters;
use penstock::api::secret::Unresolved;
use penstock::api::{FieldPath, Problems, duration, quantity};
use penstock::cli::{check, documents};
use penstock::event::codec::{http as http_codec, json, nats, protobuf};
use penstock::event::{Data, Draft, Event, record};
use penstock::flow::{Position, letter};
use penstock::frame;
use penstock::router::condition::Condition;
use penstock::router::delivery::unpark;
use penstock::router::filter::{Filter, Values};
use serde_json::{Value, json};

/// One of them.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const ALL: [(&str, Target); 13] = [
    ("path", path),
    ("pattern", pattern),
    ("exprs", exprs),
    ("cesql", cesql),
    ("cel", cel),
    ("condition", condition),
    ("duration", duration_and_size),
    ("event_json", event_json),
    ("event_protobuf", event_protobuf),
    ("event_http", event_http),
    ("event_nats", event_nats),
    ("frame", frame_message),
    ("documents", yaml_documents),
];

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// What stands before the first line break, and the rest.
fn halves(data: &[u8]) -> Option<(&str, &str)> {
    let text = text(data)?;
    Some(text.split_once('\n').unwrap_or((text, "{}")))
}

fn event(data: &str) -> Option<Event> {
    let draft = Draft::new("1", "/fuzz", "com.example.fuzz").with("subject", "orders/7").with("priority", 3);
    draft.with("datacontenttype", "application/json").data(Data::Text(data)).build().ok()
}

/// A filter that compiles is evaluated, and explained in both ways.
fn judge(raw: Value, data: &str) {
    let mut problems = Problems::new();
    let Ok(raw) = serde_json::from_value::<Filters>(raw) else { return };
    let filter = Filter::compile(&raw, None, &FieldPath::root(), &mut problems);
    let Some(event) = event(data) else { return };
    if problems.is_empty() {
        let verdict = filter.evaluate(&event);
        assert_eq!(filter.evaluate(&event), verdict, "a filter keeps no state");
        filter.explain(&event, Values::Shown);
        filter.explain(&event, Values::Redacted);
    }
}

/// A path, a line break, and the JSON that it looks into.
pub fn path(data: &[u8]) {
    let Some((path, data)) = halves(data) else { return };
    judge(json!({"data": [{"path": path, "type": "string", "value": ["x"]}]}), data);
    judge(json!({"data": [{"path": path, "type": "number", "comparator": ">", "value": ["1"]}]}), data);
}

/// A regular expression, a line break, and a text that it may match.
pub fn pattern(data: &[u8]) {
    let Some((pattern, data)) = halves(data) else { return };
    let data = json!({"a": data}).to_string();
    judge(json!({"data": [{"path": "a", "type": "string", "value": [pattern]}]}), &data);
}

/// An expression over the fields `a` and `b`, a line break, and the JSON with them.
pub fn exprs(data: &[u8]) {
    let Some((expr, data)) = halves(data) else { return };
    let fields = json!([{"name": "a", "path": "a"}, {"name": "b", "path": "b.c"}]);
    judge(json!({"exprs": [{"expr": expr, "fields": fields}]}), data);
}

/// An expression.
pub fn cesql(data: &[u8]) {
    let Some(text) = text(data) else { return };
    judge(json!([{"cesql": text}]), "{}");
}

/// An expression, a line break, and the JSON that it looks into.
pub fn cel(data: &[u8]) {
    let Some((text, data)) = halves(data) else { return };
    judge(json!({"cel": text}), data);
}

/// A condition over a few inputs.
pub fn condition(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut problems = Problems::new();
    let condition = Condition::parse(text, &["a", "b", "a-b", "c.d"], &FieldPath::root(), &mut problems);
    if let Some(condition) = condition {
        assert!(!condition.holds(|_| false, |_| false) || !problems.is_empty(), "nothing must not fulfil {text:?}");
    }
}

/// A duration or a size.
pub fn duration_and_size(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(span) = duration::parse(text) {
        assert!(span.as_secs() <= 100 * 366 * 24 * 3600, "{text:?} is far too long");
    }
    drop(quantity::parse(&penstock::api::any::IntOrText::Text(text.to_owned())));
}

/// One event, or a batch.
pub fn event_json(data: &[u8]) {
    if let Ok(event) = json::parse(data) {
        again(&event);
        // A letter from the bus is read by whoever works on dead letters, and a parked event by the router.
        drop(letter::original(&event));
        drop(unpark(&event, Position::default()));
    }
    if let Ok(events) = json::parse_batch(data) {
        events.iter().for_each(again);
    }
}

/// Every form keeps the event.
fn again(event: &Event) {
    let mut bytes = Vec::new();
    json::write(event, &mut bytes);
    let read = json::parse(&bytes).expect("what was written can be read");
    assert_eq!((read.id(), read.source(), read.ty()), (event.id(), event.source(), event.ty()));
    assert_eq!(record::read(event.record().clone()).as_ref(), Ok(event));
}

/// One event, or a batch; and a record.
pub fn event_protobuf(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(event) = protobuf::parse(bytes.clone()) {
        again(&event);
    }
    if let Ok(events) = protobuf::parse_batch(bytes.clone()) {
        events.iter().for_each(again);
    }
    // Records are only read where `Draft::build` wrote them. Others may be events that no form can say, such as one with an
    // attribute twice; reading and writing them must not panic.
    if let Ok(event) = record::read(bytes) {
        json::write(&event, &mut Vec::new());
    }
}

/// Lines `name: value`, an empty line, a body.
fn message(data: &[u8]) -> (Vec<(&str, &str)>, Bytes) {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((data, &b""[..]), |end| (&data[..end], &data[end + 2..]));
    let lines = text(head).unwrap_or_default().lines();
    (lines.filter_map(|line| line.split_once(": ")).collect(), Bytes::copy_from_slice(body))
}

/// A request with headers and a body.
pub fn event_http(data: &[u8]) {
    let (lines, body) = message(data);
    let mut headers = http::HeaderMap::new();
    for (name, value) in lines {
        if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse()) {
            headers.append(name, value);
        }
    }
    if let Ok(http_codec::Message::Event(event)) = http_codec::read(&headers, body) {
        again(&event);
    }
}

/// A message with headers and a payload.
pub fn event_nats(data: &[u8]) {
    let (lines, body) = message(data);
    drop(nats::read(lines.into_iter(), body));
}

/// A frame.
pub fn frame_message(data: &[u8]) {
    if let Ok(events) = frame::read(Bytes::copy_from_slice(data)) {
        assert_eq!(frame::read(frame::write(&events)).expect("what was written can be read"), events);
    }
}

/// YAML with objects, as `check` judges it.
pub fn yaml_documents(mut data: &[u8]) {
    let (documents, mut report) = documents::load(&["-".into()], &mut data);
    check::judge(&documents, check::Access::Own, &Unresolved, &mut report);
    drop(report.findings());
}
