//! The `CloudEvent`: one value, held as the bytes of one record and read lazily.
//!
//! - [`Event`]: what travels. A record of bytes and an index into it; cloning shares the bytes.
//! - [`Draft`]: what is put together, and then built into an [`Event`] once.
//! - [`record`]: the record itself, a `io.cloudevents.v1.CloudEvent` protobuf message.
//! - [`codec`]: HTTP modes, JSON, protobuf and batches to and from [`Event`].
//! - [`wrap`]: messages that are no `CloudEvents` made into [`Event`]s.
//! - `sdk`: conversions to and from `cloudevents::Event`, the type at public edges.
//!
//! An event is immutable. Its data bytes are never re-encoded: what came in goes out. This room
//! does no I/O and imports no other room but `proto`, the generated messages.

pub mod codec;
mod draft;
pub mod record;
mod sdk;
pub mod wrap;

pub use draft::{Data, Draft, InvalidEvent, Value};

use bytes::Bytes;
use smallvec::SmallVec;

/// The only version of the specification that is spoken (`CloudEvents` 1.0.2, `specversion`).
pub const SPEC_VERSION: &str = "1.0";

/// A range of bytes inside the record. `u32`: a record is far below 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

/// The wire type of an attribute's value; the numbers are the protobuf format's field numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    String,
    Bytes,
    Uri,
    UriRef,
}

#[derive(Clone, Copy, Debug)]
struct Attribute {
    name: Span,
    kind: Kind,
    value: Span,
}

/// Most events carry subject, time, datacontenttype and a few extensions: these stay inline.
const INLINE_ATTRIBUTES: usize = 6;

/// An immutable `CloudEvent` 1.0: the bytes of one record plus an index into them.
///
/// Cloning shares the bytes. The required attributes are always present and not empty.
#[derive(Clone)]
pub struct Event {
    record: Bytes,
    id: Span,
    source: Span,
    ty: Span,
    attributes: SmallVec<[Attribute; INLINE_ATTRIBUTES]>,
    data: Option<(bool, Span)>,
}

impl Event {
    pub fn id(&self) -> &str {
        self.text(self.id)
    }

    pub fn source(&self) -> &str {
        self.text(self.source)
    }

    /// The `type` attribute.
    pub fn ty(&self) -> &str {
        self.text(self.ty)
    }

    pub fn subject(&self) -> Option<&str> {
        self.string("subject")
    }

    /// The `time` attribute as it was written (RFC 3339).
    pub fn time(&self) -> Option<&str> {
        self.string("time")
    }

    pub fn data_content_type(&self) -> Option<&str> {
        self.string("datacontenttype")
    }

    pub fn data_schema(&self) -> Option<&str> {
        self.string("dataschema")
    }

    /// Any attribute by name: required, optional or extension.
    pub fn attribute(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "id" => Some(Value::string(self.id())),
            "source" => Some(Value::UriRef(self.source().into())),
            "type" => Some(Value::string(self.ty())),
            "specversion" => Some(Value::string(SPEC_VERSION)),
            _ => self.find(name).map(|attribute| self.value(attribute)),
        }
    }

    /// The optional attributes and extensions, in the order in which they were set. The four
    /// required ones are not among them.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.attributes.iter().map(|attribute| (self.text(attribute.name), self.value(attribute)))
    }

    pub fn data(&self) -> Option<Data<'_>> {
        let (text, span) = self.data?;
        Some(if text { Data::Text(self.text(span)) } else { Data::Binary(self.slice(span)) })
    }

    /// The data bytes, shared with the record.
    pub fn data_bytes(&self) -> Option<Bytes> {
        self.data.map(|(_, span)| self.record.slice(span.start as usize..span.end as usize))
    }

    /// The whole event as its record, shared.
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// A draft with everything of this event, to change and build again.
    pub fn draft(&self) -> Draft<'_> {
        let mut draft = Draft::new(self.id(), self.source(), self.ty());
        for (name, value) in self.attributes() {
            draft = draft.with(name, value);
        }
        match self.data() {
            Some(data) => draft.data(data),
            None => draft,
        }
    }

    fn string(&self, name: &str) -> Option<&str> {
        let attribute = self.find(name)?;
        matches!(attribute.kind, Kind::String | Kind::Uri | Kind::UriRef).then(|| self.text(attribute.value))
    }

    fn find(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| self.slice(attribute.name) == name.as_bytes())
    }

    fn value(&self, attribute: &Attribute) -> Value<'_> {
        let bytes = self.slice(attribute.value);
        match attribute.kind {
            Kind::Boolean => Value::Boolean(record::scalar(bytes) != 0),
            #[expect(clippy::cast_possible_truncation, reason = "an int32 is sign-extended on the wire")]
            Kind::Integer => Value::Integer(record::scalar(bytes) as i32),
            Kind::Bytes => Value::Bytes(bytes.into()),
            Kind::String => Value::String(self.text(attribute.value).into()),
            Kind::Uri => Value::Uri(self.text(attribute.value).into()),
            Kind::UriRef => Value::UriRef(self.text(attribute.value).into()),
        }
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.record[span.start as usize..span.end as usize]
    }

    fn text(&self, span: Span) -> &str {
        // Every span that is read as text was checked to be UTF-8 when the index was made.
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }
}

/// Two events are equal when every attribute and the data are, whatever the order.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
            && self.source() == other.source()
            && self.ty() == other.ty()
            && self.attributes.len() == other.attributes.len()
            && self.attributes().all(|(name, value)| other.attribute(name).as_ref() == Some(&value))
            && self.data() == other.data()
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Event");
        out.field("id", &self.id()).field("source", &self.source()).field("type", &self.ty());
        for (name, value) in self.attributes() {
            out.field(name, &value);
        }
        // Data may be private and large: only its length is shown.
        out.field("data_len", &self.data_bytes().map(|bytes| bytes.len())).finish()
    }
}

#[cfg(test)]
mod tests;
