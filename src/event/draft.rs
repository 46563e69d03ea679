//! Putting an event together.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Event, record};

/// The value of an attribute (`CloudEvents` 1.0.2, section 2, type system). A timestamp is its
/// RFC 3339 text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Boolean(bool),
    Integer(i32),
    String(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Uri(Cow<'a, str>),
    UriRef(Cow<'a, str>),
}

impl<'a> Value<'a> {
    pub fn string(text: impl Into<Cow<'a, str>>) -> Self {
        Self::String(text.into())
    }

    /// The canonical text: `true`, decimal digits, base64, or the string itself.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Bytes(bytes) => Cow::Owned(data_encoding::BASE64.encode(bytes)),
            Self::String(text) | Self::Uri(text) | Self::UriRef(text) => Cow::Borrowed(text),
        }
    }

    /// The canonical text, borrowed from the event where it is text there.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::String(text) | Self::Uri(text) | Self::UriRef(text) => text,
            other => Cow::Owned(other.text().into_owned()),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

/// The data of an event. `Text` is known to be UTF-8 (JSON is text); the distinction decides
/// between `data` and `data_base64`, never the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

impl<'a> Data<'a> {
    /// Text when the bytes are UTF-8, else binary.
    pub fn detect(bytes: &'a [u8]) -> Self {
        std::str::from_utf8(bytes).map_or(Self::Binary(bytes), Self::Text)
    }

    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// Why something is not a `CloudEvent`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    #[error("the required attribute {0} is missing or empty")]
    MissingAttribute(&'static str),
    #[error("specversion is {0:?}, only \"1.0\" is supported")]
    SpecVersion(String),
    #[error("attribute name {0:?} is not made of lower-case letters and digits (at most {max})", max = super::record::MAX_NAME)]
    Name(String),
    #[error("time {0:?} is not an RFC 3339 timestamp")]
    Time(String),
    #[error("attribute {name}: {reason}")]
    Value { name: String, reason: String },
    #[error("both data and data_base64 are present")]
    TwoData,
    #[error("data_base64 is not base64")]
    Base64,
    #[error("{format} cannot be read: {reason}")]
    Encoding { format: &'static str, reason: String },
}

/// An event being put together; nothing is copied until [`Draft::build`].
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) source: Cow<'a, str>,
    pub(super) ty: Cow<'a, str>,
    pub(super) attributes: SmallVec<[(Cow<'a, str>, Value<'a>); super::INLINE_ATTRIBUTES]>,
    pub(super) data: Option<Data<'a>>,
}

impl<'a> Draft<'a> {
    pub fn new(id: impl Into<Cow<'a, str>>, source: impl Into<Cow<'a, str>>, ty: impl Into<Cow<'a, str>>) -> Self {
        Self { id: id.into(), source: source.into(), ty: ty.into(), attributes: SmallVec::new(), data: None }
    }

    /// Sets an attribute, required ones included; a second value replaces the first.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> Self {
        let (name, value) = (name.into(), value.into());
        match name.as_ref() {
            "id" => self.id = value.into_text(),
            "source" => self.source = value.into_text(),
            "type" => self.ty = value.into_text(),
            _ => match self.attributes.iter_mut().find(|(known, _)| *known == name) {
                Some(slot) => slot.1 = value,
                None => self.attributes.push((name, value)),
            },
        }
        self
    }

    /// Removes an optional attribute or extension.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.attributes.retain(|(known, _)| known != name);
        self
    }

    #[must_use]
    pub fn data(mut self, data: Data<'a>) -> Self {
        self.data = Some(data);
        self
    }

    /// Checks everything and writes the record.
    ///
    /// # Errors
    /// When a required attribute is empty, a name is not a `CloudEvents` name, or `time` is not RFC 3339.
    pub fn build(&self) -> Result<Event, InvalidEvent> {
        record::write(self, self.data)
    }

    /// As [`Draft::build`], with data that lives shorter than the draft.
    pub(super) fn build_with(&self, data: Option<Data<'_>>) -> Result<Event, InvalidEvent> {
        record::write(self, data)
    }
}
