//! The record: how an event is kept in memory, on the embedded bus and inside frames.
//!
//! It is one protobuf message `io.cloudevents.v1.CloudEvent` (proto3): id=1, source=2,
//! `spec_version=3`, type=4, attributes=5 (map to a oneof `ce_boolean=1`, `ce_integer=2`, `ce_string=3`,
//! `ce_bytes=4`, `ce_uri=5`, `ce_uri_ref=6`), `binary_data=6`, `text_data=7`. Two rules beyond the format:
//! `time` is a `ce_string`, so that its text survives, and `proto_data` is never used. The codec of
//! the public protobuf format lifts both.
//!
//! Read and written by hand because the generated type copies every string of every event.

use bytes::{BufMut, Bytes, BytesMut};

use super::draft::{Data, Draft, InvalidEvent, Value};
use super::{Attribute, Event, Kind, SPEC_VERSION, Span};

/// The longest attribute name taken. The specification advises 20 characters; 64 leaves room for
/// those who do not follow it and keeps header names sane.
pub const MAX_NAME: usize = 64;

const ID: u64 = 1;
const SOURCE: u64 = 2;
const VERSION: u64 = 3;
const TYPE: u64 = 4;
const ATTRIBUTE: u64 = 5;
const BINARY_DATA: u64 = 6;
const TEXT_DATA: u64 = 7;

const WIRE_VARINT: u64 = 0;
const WIRE_BYTES: u64 = 2;

impl Kind {
    const fn field(self) -> u64 {
        match self {
            Self::Boolean => 1,
            Self::Integer => 2,
            Self::String => 3,
            Self::Bytes => 4,
            Self::Uri => 5,
            Self::UriRef => 6,
        }
    }

    const fn of(field: u64) -> Option<Self> {
        Some(match field {
            1 => Self::Boolean,
            2 => Self::Integer,
            3 => Self::String,
            4 => Self::Bytes,
            5 => Self::Uri,
            6 => Self::UriRef,
            _ => return None,
        })
    }
}

/// Whether `name` can name an attribute (`CloudEvents` 1.0.2, section 2.1).
pub fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Writes the record of a draft with `data`, and its index.
pub(super) fn write(draft: &Draft<'_>, data: Option<Data<'_>>) -> Result<Event, InvalidEvent> {
    for (name, text) in [("id", &draft.id), ("source", &draft.source), ("type", &draft.ty)] {
        if text.is_empty() {
            return Err(InvalidEvent::MissingAttribute(name));
        }
    }
    for (name, value) in &draft.attributes {
        if !is_name(name) || name == "data" || name == "specversion" {
            return Err(InvalidEvent::Name(name.to_string()));
        }
        if name == "time" {
            check_time(value)?;
        }
    }
    let mut out = BytesMut::with_capacity(estimate(draft, data));
    put_bytes(&mut out, ID, draft.id.as_bytes());
    put_bytes(&mut out, SOURCE, draft.source.as_bytes());
    put_bytes(&mut out, VERSION, SPEC_VERSION.as_bytes());
    put_bytes(&mut out, TYPE, draft.ty.as_bytes());
    for (name, value) in &draft.attributes {
        put_attribute(&mut out, name, value);
    }
    match data {
        Some(Data::Binary(bytes)) => put_bytes(&mut out, BINARY_DATA, bytes),
        Some(Data::Text(text)) => put_bytes(&mut out, TEXT_DATA, text.as_bytes()),
        None => {}
    }
    read(out.freeze())
}

pub(super) fn check_time(value: &Value<'_>) -> Result<(), InvalidEvent> {
    let text = value.text();
    // RFC 3339 wants a date, a time and an offset; the parser also takes zone names in brackets.
    let valid = !text.contains('[') && text.parse::<jiff::Timestamp>().is_ok();
    if valid { Ok(()) } else { Err(InvalidEvent::Time(text.into_owned())) }
}

fn estimate(draft: &Draft<'_>, data: Option<Data<'_>>) -> usize {
    const PER_FIELD: usize = 16;
    let attributes: usize = draft
        .attributes
        .iter()
        .map(|(name, value)| {
            PER_FIELD
                + name.len()
                + match value {
                    Value::String(text) | Value::Uri(text) | Value::UriRef(text) => text.len(),
                    Value::Bytes(bytes) => bytes.len(),
                    Value::Boolean(_) | Value::Integer(_) => 10,
                }
        })
        .sum();
    let data = data.map_or(0, |data| data.bytes().len());
    draft.id.len() + draft.source.len() + draft.ty.len() + attributes + data + 5 * PER_FIELD
}

fn put_attribute(out: &mut BytesMut, name: &str, value: &Value<'_>) {
    let mut scratch = [0_u8; 10];
    let (kind, bytes): (Kind, &[u8]) = match value {
        Value::Boolean(truth) => (Kind::Boolean, varint_into(&mut scratch, u64::from(*truth))),
        #[expect(clippy::cast_sign_loss, reason = "int32 is sign-extended to 64 bits on the wire")]
        Value::Integer(number) => (Kind::Integer, varint_into(&mut scratch, i64::from(*number) as u64)),
        Value::String(text) => (Kind::String, text.as_bytes()),
        Value::Bytes(bytes) => (Kind::Bytes, bytes),
        Value::Uri(text) => (Kind::Uri, text.as_bytes()),
        Value::UriRef(text) => (Kind::UriRef, text.as_bytes()),
    };
    let scalar = matches!(kind, Kind::Boolean | Kind::Integer);
    let value_len = 1 + bytes.len() + if scalar { 0 } else { varint_len(bytes.len() as u64) };
    let entry_len = 1 + varint_len(name.len() as u64) + name.len() + 1 + varint_len(value_len as u64) + value_len;
    put_varint(out, ATTRIBUTE << 3 | WIRE_BYTES);
    put_varint(out, entry_len as u64);
    put_bytes(out, 1, name.as_bytes());
    put_varint(out, 2 << 3 | WIRE_BYTES);
    put_varint(out, value_len as u64);
    if scalar {
        put_varint(out, kind.field() << 3 | WIRE_VARINT);
        out.put_slice(bytes);
    } else {
        put_bytes(out, kind.field(), bytes);
    }
}

fn put_bytes(out: &mut BytesMut, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | WIRE_BYTES);
    put_varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

fn put_varint(out: &mut BytesMut, value: u64) {
    out.put_slice(varint_into(&mut [0; 10], value));
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn varint_into(scratch: &mut [u8; 10], mut value: u64) -> &[u8] {
    let mut len = 0;
    while value >= 0x80 {
        scratch[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    scratch[len] = value as u8;
    &scratch[..=len]
}

fn varint_len(value: u64) -> usize {
    varint_into(&mut [0; 10], value).len()
}

/// The number in a checked varint (a boolean or an integer attribute).
pub(super) fn scalar(bytes: &[u8]) -> u64 {
    Reader { bytes, at: 0 }.varint().unwrap_or_default()
}

/// Reads a record: checks it and makes the index. The bytes are shared, not copied.
///
/// # Errors
/// When the bytes are not such a message, or a required attribute is missing.
pub fn read(record: Bytes) -> Result<Event, InvalidEvent> {
    if u32::try_from(record.len()).is_err() {
        return Err(malformed("larger than 4 GiB"));
    }
    let mut event = Event {
        record: Bytes::new(),
        id: Span::default(),
        source: Span::default(),
        ty: Span::default(),
        attributes: smallvec::SmallVec::new(),
        data: None,
    };
    let mut version = Span::default();
    let mut reader = Reader { bytes: &record, at: 0 };
    while let Some((field, span)) = reader.field()? {
        match field {
            ID => event.id = reader.utf8(span)?,
            SOURCE => event.source = reader.utf8(span)?,
            VERSION => version = reader.utf8(span)?,
            TYPE => event.ty = reader.utf8(span)?,
            ATTRIBUTE => event.attributes.push(reader.attribute(span)?),
            BINARY_DATA => event.data = Some((false, span)),
            TEXT_DATA => event.data = Some((true, reader.utf8(span)?)),
            _ => return Err(malformed("unknown field")),
        }
    }
    let version = reader.slice(version);
    if version != SPEC_VERSION.as_bytes() {
        return Err(InvalidEvent::SpecVersion(String::from_utf8_lossy(version).into_owned()));
    }
    for (name, span) in [("id", event.id), ("source", event.source), ("type", event.ty)] {
        if span.start == span.end {
            return Err(InvalidEvent::MissingAttribute(name));
        }
    }
    event.record = record;
    Ok(event)
}

fn malformed(reason: &str) -> InvalidEvent {
    InvalidEvent::Encoding { format: "event record", reason: reason.to_owned() }
}

/// A cursor over a message whose fields are all length-delimited.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<Option<(u64, Span)>, InvalidEvent> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint().ok_or_else(|| malformed("truncated"))?;
        if key & 7 != WIRE_BYTES {
            return Err(malformed("unexpected wire type"));
        }
        let len = self.varint().ok_or_else(|| malformed("truncated"))?;
        let len = usize::try_from(len).map_err(|_| malformed("truncated"))?;
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| malformed("truncated"))?;
        let span = span(self.at, end);
        self.at = end;
        Ok(Some((key >> 3, span)))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn slice(&self, span: Span) -> &'a [u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }

    fn utf8(&self, span: Span) -> Result<Span, InvalidEvent> {
        match std::str::from_utf8(self.slice(span)) {
            Ok(_) => Ok(span),
            Err(_) => Err(malformed("text is not UTF-8")),
        }
    }

    /// One entry of the attribute map.
    fn attribute(&self, entry: Span) -> Result<Attribute, InvalidEvent> {
        let mut inner = Reader { bytes: &self.bytes[..entry.end as usize], at: entry.start as usize };
        let (Some((1, name)), Some((2, value)), None) = (inner.field()?, inner.field()?, inner.field()?) else {
            return Err(malformed("an attribute is not a name and a value"));
        };
        if !std::str::from_utf8(self.slice(name)).is_ok_and(is_name) {
            return Err(malformed("an attribute name is not a CloudEvents name"));
        }
        let mut inner = Reader { bytes: &self.bytes[..value.end as usize], at: value.start as usize };
        let key = inner.varint().ok_or_else(|| malformed("truncated"))?;
        let kind = Kind::of(key >> 3).ok_or_else(|| malformed("unknown attribute type"))?;
        let value = if matches!(kind, Kind::Boolean | Kind::Integer) {
            let start = inner.at;
            inner.varint().filter(|_| inner.at == inner.bytes.len()).ok_or_else(|| malformed("truncated"))?;
            span(start, inner.at)
        } else {
            inner.at = value.start as usize;
            let (_, value) = inner.field()?.ok_or_else(|| malformed("truncated"))?;
            if kind == Kind::Bytes { value } else { self.utf8(value)? }
        };
        Ok(Attribute { name, kind, value })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the record's length was checked to fit")]
fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}
