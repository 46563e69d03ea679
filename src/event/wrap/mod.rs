//! A message that is no `CloudEvent` made into one: the same way for every kind of source.

use std::borrow::Cow;

use super::codec::{is_json, json};
use super::{Data, Draft, Event, InvalidEvent};

/// What is known about a native message. Its bytes become the data, unchanged.
#[derive(Clone, Debug)]
pub struct Wrapping<'a> {
    /// Deterministic where the origin has an identity to offer (topic, partition and offset; a
    /// delivery id): a redelivery must get the same one.
    pub id: Cow<'a, str>,
    pub source: &'a str,
    pub ty: &'a str,
    pub subject: Option<Cow<'a, str>>,
    /// The origin's own time, RFC 3339.
    pub time: Option<Cow<'a, str>>,
    /// What the origin says about the bytes.
    pub content_type: Option<&'a str>,
    pub body: Body,
}

/// What the user says about the bytes (`jsonBody`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// JSON when it is JSON and the origin says nothing else, then text, then binary.
    #[default]
    Detect,
    /// JSON always: anything else is a poison message.
    Json,
}

impl<'a> Wrapping<'a> {
    /// A draft of the event, for those who have more attributes to add. Empty bytes are no data.
    ///
    /// # Errors
    /// When JSON was promised and `bytes` are something else.
    pub fn draft(self, bytes: &'a [u8]) -> Result<Draft<'a>, InvalidEvent> {
        let data = Data::detect(bytes);
        let content_type = match (self.body, self.content_type, data) {
            (Body::Json, given, data) => {
                check_json(data)?;
                Some(given.filter(|given| is_json(given)).unwrap_or("application/json"))
            }
            (Body::Detect, None, Data::Text(text)) if json::is_value(text) => Some("application/json"),
            (Body::Detect, given, _) => given,
        };
        let mut draft = Draft::new(self.id, self.source, self.ty);
        for (name, value) in [("subject", self.subject), ("time", self.time)] {
            if let Some(value) = value {
                draft = draft.with(name, super::Value::String(value));
            }
        }
        if let Some(content_type) = content_type {
            draft = draft.with("datacontenttype", content_type);
        }
        Ok(if bytes.is_empty() { draft } else { draft.data(data) })
    }

    /// The event itself.
    ///
    /// # Errors
    /// As [`Wrapping::draft`], and when a part is no attribute value (an empty id, a bad time).
    pub fn event(self, bytes: &'a [u8]) -> Result<Event, InvalidEvent> {
        self.draft(bytes)?.build()
    }
}

fn check_json(data: Data<'_>) -> Result<(), InvalidEvent> {
    let reason = match data {
        Data::Text(text) => match json::check(text) {
            Ok(()) => return Ok(()),
            Err(error) => error.to_string(),
        },
        Data::Binary(_) => "it is not even text".to_owned(),
    };
    Err(InvalidEvent::Encoding { format: "the body, which must be JSON,", reason })
}

#[cfg(test)]
mod tests;
