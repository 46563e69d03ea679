//! A JSON document in the making, and the places in it.

use crate::api::{FieldPath, Problems};
use crate::router::filter::json;

/// The longest `dest`, in bytes.
const MAX_LEN: usize = 1024;
/// The most keys of one.
const MAX_KEYS: usize = 32;
/// The highest index: what is missing before it becomes null.
const MAX_INDEX: usize = 1000;

/// Where a value is put: keys from the outside in. None: it is the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(Vec<String>);

impl Place {
    /// Reads keys with dots between them; a backslash takes the next character as it is.
    pub fn parse(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        if text.len() > MAX_LEN {
            problems.push(path, format!("must be at most {MAX_LEN} bytes long"));
            return None;
        }
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let (mut keys, mut key, mut chars) = (Vec::new(), String::new(), text.chars());
        while let Some(c) = chars.next() {
            match c {
                '.' => keys.push(std::mem::take(&mut key)),
                '\\' => key.extend(chars.next()),
                other => key.push(other),
            }
        }
        keys.push(key);
        if keys.iter().any(String::is_empty) {
            problems.push(path, format!("{text:?} has an empty key"));
        } else if keys.len() > MAX_KEYS {
            problems.push(path, format!("must be at most {MAX_KEYS} keys deep"));
        } else if let Some(index) = keys.iter().find(|key| index(key).is_some_and(|index| index > MAX_INDEX)) {
            problems.push(path, format!("the index {index} is higher than {MAX_INDEX}"));
        } else {
            return Some(Self(keys));
        }
        None
    }

    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }
}

fn index(key: &str) -> Option<usize> {
    key.bytes().all(|byte| byte.is_ascii_digit()).then(|| key.parse().unwrap_or(usize::MAX))
}

/// Whether the key makes a list where nothing is yet.
fn makes_list(key: &str) -> bool {
    key == "-1" || index(key).is_some()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// JSON that was checked.
    Raw(String),
    Object(Vec<(String, Node)>),
    List(Vec<Node>),
}

impl Node {
    pub fn text(text: &str) -> Self {
        Self::Raw(json::quote(text))
    }

    fn null() -> Self {
        Self::Raw("null".to_owned())
    }

    /// Puts the value to its place, and makes what is missing on the way there. A scalar on the way gives way.
    ///
    /// # Errors
    /// When a list is on the way, and the key is none of a list.
    pub fn set(&mut self, place: &Place, value: Self) -> Result<(), String> {
        self.set_below(&place.0, value)
    }

    fn set_below(&mut self, keys: &[String], value: Self) -> Result<(), String> {
        let [key, rest @ ..] = keys else {
            *self = value;
            return Ok(());
        };
        self.open(key);
        match self {
            Self::Object(members) => {
                let at = members.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
                    members.push((key.clone(), Self::null()));
                    members.len() - 1
                });
                members[at].1.set_below(rest, value)
            }
            Self::List(elements) => {
                let at = if key == "-1" { Some(elements.len()) } else { index(key) };
                let at = at.ok_or_else(|| format!("dest: {key:?} is no place in a list"))?;
                while elements.len() <= at {
                    elements.push(Self::null());
                }
                elements[at].set_below(rest, value)
            }
            Self::Raw(_) => Ok(()),
        }
    }

    /// Takes a container apart by one level; what is none becomes one that has room for the key.
    fn open(&mut self, key: &str) {
        let Self::Raw(raw) = self else { return };
        *self = if raw.starts_with('{') {
            let mut members: Vec<(String, Self)> = Vec::new();
            for (key, value) in json::members(raw) {
                let key = json::text(key).into_owned();
                // As everywhere, the first of two counts.
                if !members.iter().any(|(known, _)| *known == key) {
                    members.push((key, Self::Raw(value.to_owned())));
                }
            }
            Self::Object(members)
        } else if raw.starts_with('[') {
            Self::List(json::elements(raw).map(|value| Self::Raw(value.to_owned())).collect())
        } else if makes_list(key) {
            Self::List(Vec::new())
        } else {
            Self::Object(Vec::new())
        };
    }

    /// The value at the place as text; nothing when there is none, or null.
    pub fn get(&self, place: &Place) -> Option<String> {
        let mut node = self.clone();
        for key in &place.0 {
            node.open(key);
            node = match node {
                Self::Object(members) => members.into_iter().find(|(known, _)| known == key)?.1,
                Self::List(elements) => elements.into_iter().nth(index(key)?)?,
                Self::Raw(_) => return None,
            };
        }
        let mut raw = String::new();
        node.write(&mut raw);
        (raw != "null").then(|| json::text(&raw).into_owned())
    }

    pub fn write(&self, out: &mut String) {
        match self {
            Self::Raw(raw) => out.push_str(raw),
            Self::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    out.push_str(&json::quote(key));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Self::List(elements) => {
                out.push('[');
                for (at, value) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    value.write(out);
                }
                out.push(']');
            }
        }
    }
}
