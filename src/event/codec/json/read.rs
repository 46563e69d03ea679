//! Structured JSON to events, in one pass over the bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::codec::{add, duplicate, is_json};
use crate::event::{Data, Draft, Event, InvalidEvent, SPEC_VERSION, Value};

/// Reads one event.
///
/// # Errors
/// When the bytes are not one JSON object, or the object is no `CloudEvent`.
pub fn parse(bytes: &[u8]) -> Result<Event, InvalidEvent> {
    serde_json::from_slice::<Parsed>(bytes).map_err(|error| malformed(&error))?.0
}

/// Reads a batch: a JSON array of events. An empty array is an empty batch.
///
/// # Errors
/// When the bytes are not a JSON array, or any of its events is no `CloudEvent`: a batch is taken
/// as a whole or not at all.
pub fn parse_batch(bytes: &[u8]) -> Result<Vec<Event>, InvalidEvent> {
    let batch: Vec<Parsed> = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    batch.into_iter().map(|parsed| parsed.0).collect()
}

fn malformed(error: &serde_json::Error) -> InvalidEvent {
    InvalidEvent::Encoding { format: "JSON", reason: error.to_string() }
}

/// One JSON object, already judged: broken JSON is an error of the deserializer, an object that is
/// no event an error in here.
struct Parsed(Result<Event, InvalidEvent>);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(|members| Self(members.event()))
    }
}

/// The members of one event object, borrowed from the input where they hold no escapes.
struct Members<'a> {
    draft: Draft<'a>,
    version: Option<Cow<'a, str>>,
    data: Option<&'a RawValue>,
    base64: Option<Cow<'a, str>>,
    /// The first thing that makes this no event. It is kept until the whole object was read, so
    /// that broken JSON is reported as broken JSON.
    problem: Option<InvalidEvent>,
}

impl<'a> Members<'a> {
    fn event(self) -> Result<Event, InvalidEvent> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        match self.version.as_deref() {
            Some(SPEC_VERSION) => {}
            Some(other) => return Err(InvalidEvent::SpecVersion(other.to_owned())),
            None => return Err(InvalidEvent::MissingAttribute("specversion")),
        }
        let mut draft = self.draft;
        match (self.data, self.base64) {
            (Some(_), Some(_)) => Err(InvalidEvent::TwoData),
            (Some(raw), None) => {
                let text = data_text(&mut draft, raw);
                draft.build_with(text.as_deref().map(Data::Text))
            }
            (None, Some(encoded)) => {
                let bytes = data_encoding::BASE64.decode(encoded.as_bytes()).map_err(|_| InvalidEvent::Base64)?;
                draft.build_with(Some(Data::Binary(&bytes)))
            }
            (None, None) => draft.build(),
        }
    }

    fn member(&mut self, name: Cow<'a, str>, value: Scalar<'a>) -> Result<(), InvalidEvent> {
        let value = match value {
            Scalar::Null => return Ok(()),
            Scalar::Value(value) => value,
            Scalar::Refused(reason) => {
                return Err(InvalidEvent::Value { name: name.into_owned(), reason: reason.to_owned() });
            }
        };
        let slot = match name.as_ref() {
            "id" => &mut self.draft.id,
            "source" => &mut self.draft.source,
            "type" => &mut self.draft.ty,
            "specversion" => return set(&mut self.version, &name, value),
            "data_base64" => return set(&mut self.base64, &name, value),
            "subject" | "time" | "datacontenttype" | "dataschema" if !matches!(value, Value::String(_)) => {
                return Err(not_a_string(&name));
            }
            _ => return add(&mut self.draft, name, value),
        };
        if !slot.is_empty() {
            return Err(duplicate(&name));
        }
        let Value::String(text) = value else { return Err(not_a_string(&name)) };
        *slot = text;
        Ok(())
    }
}

fn set<'a>(slot: &mut Option<Cow<'a, str>>, name: &str, value: Value<'a>) -> Result<(), InvalidEvent> {
    let Value::String(text) = value else { return Err(not_a_string(name)) };
    match slot.replace(text) {
        Some(_) => Err(duplicate(name)),
        None => Ok(()),
    }
}

fn not_a_string(name: &str) -> InvalidEvent {
    InvalidEvent::Value { name: name.to_owned(), reason: "it must be a string".to_owned() }
}

/// The text of a `data` member. A content type that is not JSON promises a string; a producer that
/// breaks the promise meant the JSON value, so that is what is kept. `null` there is no data.
fn data_text<'a>(draft: &mut Draft<'a>, raw: &'a RawValue) -> Option<Cow<'a, str>> {
    let content_type = draft.attributes.iter().find(|(name, _)| name == "datacontenttype");
    match content_type.map(|(_, value)| value) {
        Some(Value::String(content_type)) if !is_json(content_type) => match raw.get() {
            "null" => None,
            json => Some(serde_json::from_str::<Text<'a>>(json).map_or(Cow::Borrowed(json), |text| text.0)),
        },
        Some(_) => Some(Cow::Borrowed(raw.get())),
        None => {
            draft.attributes.push(("datacontenttype".into(), "application/json".into()));
            Some(Cow::Borrowed(raw.get()))
        }
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvent object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members =
            Members { draft: Draft::new("", "", ""), version: None, data: None, base64: None, problem: None };
        while let Some(Text(name)) = map.next_key()? {
            let outcome = if name == "data" {
                let raw: &'de RawValue = map.next_value()?;
                if members.data.replace(raw).is_some() { Err(duplicate("data")) } else { Ok(()) }
            } else {
                members.member(name, map.next_value()?)
            };
            if let Err(problem) = outcome {
                members.problem.get_or_insert(problem);
            }
        }
        Ok(members)
    }
}

/// A string, borrowed when it holds no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The value of an attribute member (JSON format 1.0.2, section 2.2).
enum Scalar<'a> {
    Null,
    Value(Value<'a>),
    Refused(&'static str),
}

const NOT_AN_INTEGER: &str = "the number is not a 32-bit integer";

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Value(Value::Boolean(truth)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(i32::try_from(number).map_or(Scalar::Refused(NOT_AN_INTEGER), |number| Scalar::Value(number.into())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i32::try_from(number).map_or(Scalar::Refused(NOT_AN_INTEGER), |number| Scalar::Value(number.into())))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Refused(NOT_AN_INTEGER))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Value(text.into()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Value(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Refused("an attribute cannot be an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Refused("an attribute cannot be an object"))
    }
}
