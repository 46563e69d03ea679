//! What tells which events belong together.

use super::path::{Found, Path};
use super::{Payload, Subject, attribute_value, compile, json};
use crate::api::{FieldPath, Problems};
use crate::event::Event;

/// What stands before the path of a value in the data.
const DATA: &str = "data.";

/// A key longer than this many bytes is replaced by its digest.
const MAX_KEY: usize = 256;

/// Where the key of an event is found: an attribute, or a value in its data.
#[derive(Clone, Debug)]
pub struct KeyPath(Place);

#[derive(Clone, Debug)]
enum Place {
    Attribute(Box<str>),
    Data(Path),
}

impl KeyPath {
    /// Reads the name of an attribute, or `data.` and a path, which stands at `path` of a document.
    pub fn parse(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        if let Some(inside) = text.strip_prefix(DATA) {
            return compile::path(inside, path, problems).map(|compiled| Self(Place::Data(compiled)));
        }
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if text.is_empty() || text == "data" || !text.bytes().all(legal) {
            let help = "an attribute such as subject, or data. and a path such as data.order.id";
            problems.push_help(path, format!("{text:?} names no attribute and no value in the data"), help);
            return None;
        }
        Some(Self(Place::Attribute(text.into())))
    }

    /// The key of an event; none when it has no such attribute or value, or that is empty, null, a list or an object.
    /// A number and a text of the same characters are one key.
    pub fn of(&self, event: &Event) -> Option<String> {
        match &self.0 {
            Place::Attribute(name) => bounded(&attribute_value(event, name)?),
            Place::Data(path) => {
                let Payload::Json(payload) = Subject::new(event).payload() else { return None };
                let Found::Value(raw) = path.find(payload) else { return None };
                match raw.as_bytes().first() {
                    None | Some(b'{' | b'[' | b'n') => None,
                    Some(_) => bounded(&json::text(&raw)),
                }
            }
        }
    }
}

fn bounded(key: &str) -> Option<String> {
    match key.len() {
        0 => None,
        1..=MAX_KEY => Some(key.to_owned()),
        _ => {
            let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
            Some(format!("sha256:{}", data_encoding::HEXLOWER.encode(digest.as_ref())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Data, Draft};

    fn parse(text: &str) -> Result<KeyPath, String> {
        let mut problems = Problems::new();
        let key = KeyPath::parse(text, &FieldPath::root(), &mut problems);
        key.ok_or_else(|| problems.to_string())
    }

    #[test]
    fn a_key_is_an_attribute_or_a_value_in_the_data() {
        let data =
            r#"{"order": {"id": 7, "text": "7", "big": 12345678901234567890, "none": null, "empty": "", "list": [1]}}"#;
        let event = Draft::new("1", "/s", "t").with("subject", "x").with("tenant", 3).data(Data::Text(data));
        let event = event.build().unwrap();
        let key = |text: &str| parse(text).unwrap().of(&event);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            (key("subject"), key("tenant"), key("type"), key("id")),
            (some("x"), some("3"), some("t"), some("1"))
        );
        assert_eq!((key("data.order.id"), key("data.order.text")), (some("7"), some("7")), "they belong together");
        assert_eq!(key("data.order.big"), some("12345678901234567890"), "no digit is lost");
        for missing in ["absent", "data.no", "data.order", "data.order.none", "data.order.empty", "data.order.list"] {
            assert_eq!(key(missing), None, "{missing}");
        }
        let without = Draft::new("1", "/s", "t").build().unwrap();
        assert_eq!(parse("data.a").unwrap().of(&without), None);
    }

    #[test]
    fn a_long_key_is_replaced_by_its_digest() {
        let key = |text: &str| {
            parse("subject").unwrap().of(&Draft::new("1", "/s", "t").with("subject", text).build().unwrap()).unwrap()
        };
        let (one, two) = (key(&"a".repeat(1000)), key(&"a".repeat(1001)));
        assert!(one.starts_with("sha256:") && one.len() < MAX_KEY && one != two, "{one}");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for wrong in ["", "data", "Subject", "order.id", "$.a"] {
            assert!(parse(wrong).unwrap_err().contains("names no attribute and no value in the data"), "{wrong}");
        }
        assert!(parse("data.").is_err());
    }
}
