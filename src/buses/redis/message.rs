//! Events as entries of a stream, and back.
//!
//! An entry has one field, `event`: the event's record, as the protobuf format of `CloudEvents` writes it.
//! What others put on the stream is an event when its field `data` is one in JSON (Dapr's own component
//! writes so), and is wrapped otherwise.

use bytes::Bytes;
use jiff::Timestamp;
use redis::{FromRedisValue, ParsingError, Value};
use serde_json::{Map, Value as Json};

use crate::event::codec::json;
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Event, record};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Poison, Position};

/// The field of the record.
const EVENT: &str = "event";
/// The field that others use.
const DATA: &str = "data";
/// The `type` of what is on a stream and is no event.
const OPAQUE_TYPE: &str = "events.openfunction.io.redis";

/// An entry as it was handed out.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub position: Position,
    pub attempt: u32,
    pub fields: Vec<(Bytes, Bytes)>,
}

impl Entry {
    /// What it takes in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        self.fields.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl FromRedisValue for Entry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, attempt, flat): (String, u32, Vec<Vec<u8>>) = redis::from_redis_value(value)?;
        let position = Position::parse(&id).ok_or_else(|| ParsingError::from("no id of an entry"))?;
        let mut flat = flat.into_iter().map(Bytes::from);
        let mut fields = Vec::new();
        while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
            fields.push((name, value));
        }
        Ok(Self { position, attempt, fields })
    }
}

/// Reads the event; `stream` is the key.
pub(super) fn read(entry: &Entry, stream: &str) -> Result<Event, Poison> {
    let field = |wanted: &str| entry.fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    if let Some(bytes) = field(EVENT) {
        return record::read(bytes.clone()).map_err(|error| {
            let fault = Fault::new(FaultKind::Malformed, "read an entry", "it is no valid event").with_source(error);
            Poison { bytes: bytes.clone(), fault }
        });
    }
    let data = field(DATA).cloned();
    if let Some(Ok(event)) = data.as_deref().map(json::parse) {
        return Ok(event);
    }
    let bytes = data.unwrap_or_else(|| object(&entry.fields));
    let wrapping = Wrapping {
        id: format!("{stream}/{}", entry.position).into(),
        source: &format!("redis:{stream}"),
        ty: OPAQUE_TYPE,
        subject: None,
        time: Some(time(entry.position).to_string().into()),
        content_type: None,
        body: Body::Detect,
    };
    wrapping.event(&bytes).map_err(|error| {
        let fault = Fault::new(FaultKind::Malformed, "read an entry", "it cannot be an event").with_source(error);
        Poison { bytes: bytes.clone(), fault }
    })
}

/// Fields that are no event, as a JSON object; bytes that are no text lose what is none.
fn object(fields: &[(Bytes, Bytes)]) -> Bytes {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let object: Map<String, Json> = fields.iter().map(|(name, value)| (text(name), text(value).into())).collect();
    Json::Object(object).to_string().into()
}

/// When the server appended the entry: its id begins with that.
pub(super) fn time(position: Position) -> Timestamp {
    i64::try_from(position.major)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Data;

    fn entry(fields: &[(&'static str, &'static str)]) -> Entry {
        let fields = fields.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect();
        Entry { position: Position { major: 1_764_000_000_000, minor: 7 }, attempt: 1, fields }
    }

    #[test]
    fn what_others_write_is_an_event_or_becomes_one() {
        let sent = r#"{"specversion":"1.0","id":"3","source":"s","type":"t","data":{"a":1}}"#;
        assert_eq!(read(&entry(&[("data", sent), ("metadata", "{}")]), "k").unwrap().id(), "3");
        let opaque = read(&entry(&[("data", "text")]), "k").unwrap();
        assert_eq!((opaque.id(), opaque.data()), ("k/1764000000000-7", Some(Data::Text("text"))));
        assert_eq!(opaque.time(), Some("2025-11-24T16:00:00Z"));
        let fields = read(&entry(&[("a", "1"), ("b", "x")]), "k").unwrap();
        assert_eq!(fields.data(), Some(Data::Text(r#"{"a":"1","b":"x"}"#)));
        let poison = read(&entry(&[("event", "broken")]), "k").unwrap_err();
        assert_eq!((poison.fault.kind(), &poison.bytes[..]), (FaultKind::Malformed, &b"broken"[..]));
    }
}
