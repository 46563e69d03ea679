//! Entries of a stream to events.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::event::codec::json;
use crate::event::wrap::{Body, Wrapping};
use crate::event::{Event, record};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Poison, Position};

/// The field in which our own bus writes an event.
const EVENT: &str = "event";
/// The field in which Dapr's component, and most others, write.
const DATA: &str = "data";

/// An entry as it was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub position: Position,
    pub fields: Vec<(Bytes, Bytes)>,
}

/// An entry as the client has it: its id, and names and values in turn.
pub(super) type Raw = (String, Vec<Vec<u8>>);

impl Entry {
    /// `None` when the id is none.
    pub(super) fn new((id, flat): Raw) -> Option<Self> {
        let position = Position::parse(&id)?;
        let mut flat = flat.into_iter().map(Bytes::from);
        let mut fields = Vec::new();
        while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
            fields.push((name, value));
        }
        Some(Self { position, fields })
    }
}

/// The attributes of events that are wrapped.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The stream's key.
    pub stream: String,
    pub source: String,
    pub ty: String,
    pub json_body: bool,
}

/// Reads an entry. A `CloudEvent` is kept as it is. Anything else becomes one: of the field `data`, of
/// the only field, or of all fields as a JSON object; its id is the stream's key and the entry's id.
pub(super) fn read(entry: &Entry, terms: &Terms) -> Result<Event, Poison> {
    let field = |wanted: &str| entry.fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    if let Some(Ok(event)) = field(EVENT).map(|bytes| record::read(bytes.clone())) {
        return Ok(event);
    }
    let body = match (field(DATA), entry.fields.as_slice()) {
        (Some(data), _) => data.clone(),
        (None, [(_, only)]) => only.clone(),
        (None, fields) => object(fields),
    };
    if let Ok(event) = json::parse(&body) {
        return Ok(event);
    }
    let wrapping = Wrapping {
        id: format!("{}/{}", terms.stream, entry.position).into(),
        source: &terms.source,
        ty: &terms.ty,
        subject: Some(terms.stream.as_str().into()),
        time: Some(time(entry.position).to_string().into()),
        content_type: None,
        body: if terms.json_body { Body::Json } else { Body::Detect },
    };
    wrapping.event(&body).map_err(|error| {
        let fault = Fault::new(FaultKind::Malformed, "read an entry", "it cannot be an event").with_source(error);
        Poison { bytes: body.clone(), fault }
    })
}

/// Bytes that are no text lose what is none.
fn object(fields: &[(Bytes, Bytes)]) -> Bytes {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let object: Map<String, Json> = fields.iter().map(|(name, value)| (text(name), text(value).into())).collect();
    Json::Object(object).to_string().into()
}

/// When the server appended the entry: its id begins with that, unless its writer chose another.
pub(super) fn time(position: Position) -> Timestamp {
    i64::try_from(position.major)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
