//! Tests of one attribute, always by its canonical text.

use std::borrow::Cow;

use super::{Subject, Verdict};
use crate::event::{Event, Value};

/// One attribute and what is wanted of it. A missing attribute is a plain no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeTest {
    pub name: Box<str>,
    pub want: Want,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    Equal(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// There and not empty.
    Present,
}

/// The attribute name under which Knative offers the media type without its parameters.
pub(super) const MEDIA_TYPE: &str = "datamediatype";

impl AttributeTest {
    pub(super) fn new(name: &str, want: Want) -> Self {
        Self { name: name.into(), want }
    }

    pub(super) fn judge(&self, subject: &Subject<'_>) -> Verdict {
        let passes = value(subject.event(), &self.name).is_some_and(|value| match &self.want {
            Want::Equal(text) => *value == **text,
            Want::Prefix(text) => value.starts_with(&**text),
            Want::Suffix(text) => value.ends_with(&**text),
            Want::Present => !value.is_empty(),
        });
        if passes { Verdict::Yes } else { Verdict::No }
    }

    pub(super) fn explain(&self, subject: &Subject<'_>) -> String {
        let wanted = match &self.want {
            Want::Equal(text) => format!("exactly {text:?}"),
            Want::Prefix(text) => format!("a text that begins with {text:?}"),
            Want::Suffix(text) => format!("a text that ends with {text:?}"),
            Want::Present => "any value".to_owned(),
        };
        match value(subject.event(), &self.name) {
            Some(value) => format!("attribute {} is {value:?}, wanted {wanted}", self.name),
            None => format!("attribute {} is missing, wanted {wanted}", self.name),
        }
    }
}

/// The canonical text of an attribute, borrowed where it is text in the event.
pub(crate) fn value<'e>(event: &'e Event, name: &str) -> Option<Cow<'e, str>> {
    match name {
        "type" => Some(Cow::Borrowed(event.ty())),
        "source" => Some(Cow::Borrowed(event.source())),
        MEDIA_TYPE => {
            let content_type = event.data_content_type()?;
            Some(Cow::Borrowed(content_type.split(';').next().unwrap_or_default().trim()))
        }
        _ => event.attribute(name).map(Value::into_text),
    }
}
