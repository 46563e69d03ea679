//! Modifiers: `@name` or `@name:argument` turns a value into another one.

use std::borrow::Cow;
use std::collections::HashMap;

use super::NodeId;
use crate::router::filter::json::{self, Kind};

/// The names that are modifiers; any other word after `@` is an ordinary key.
pub(super) const NAMES: &[&str] = &[
    "pretty", "ugly", "reverse", "this", "flatten", "join", "valid", "keys", "values", "tostr", "fromstr", "group",
    "dig",
];

#[derive(Clone, Debug)]
pub(super) enum Modifier {
    This,
    Reverse,
    Flatten {
        deep: bool,
    },
    Join {
        preserve: bool,
    },
    Keys,
    Values,
    Ugly,
    Valid,
    ToStr,
    FromStr,
    Group,
    /// The values of a path at every depth.
    Dig(NodeId),
}

impl Modifier {
    /// The modifier `name` with its argument; [`Modifier::Dig`] and `@pretty` are the compiler's.
    pub fn parse(name: &str, argument: &str) -> Option<Self> {
        let option = |name: &str| {
            let options: serde_json::Value = serde_json::from_str(argument).unwrap_or_default();
            options.get(name).is_some_and(|value| json::truth(&value.to_string()) == Some(true))
        };
        Some(match name {
            "this" => Self::This,
            "reverse" => Self::Reverse,
            "flatten" => Self::Flatten { deep: option("deep") },
            "join" => Self::Join { preserve: option("preserve") },
            "keys" => Self::Keys,
            "values" => Self::Values,
            "ugly" => Self::Ugly,
            "valid" => Self::Valid,
            "tostr" => Self::ToStr,
            "fromstr" => Self::FromStr,
            "group" => Self::Group,
            _ => return None,
        })
    }
}

fn is_array(raw: &str) -> bool {
    raw.starts_with('[')
}

fn is_object(raw: &str) -> bool {
    raw.starts_with('{')
}

pub(super) fn list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    join("[", items, "]")
}

pub(super) fn join<S: AsRef<str>>(open: &str, items: impl IntoIterator<Item = S>, close: &str) -> String {
    let mut out = String::from(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(item.as_ref());
    }
    out.push_str(close);
    out
}

/// Elements or members in reverse; any other value as it is.
pub(super) fn reverse(raw: &str) -> String {
    if is_array(raw) {
        let mut items: Vec<_> = json::elements(raw).collect();
        items.reverse();
        list(items)
    } else if is_object(raw) {
        let mut items: Vec<_> = json::members(raw).map(|(key, value)| format!("{key}:{value}")).collect();
        items.reverse();
        join("{", items, "}")
    } else {
        raw.to_owned()
    }
}

/// Arrays inside an array are dissolved, one level or all.
pub(super) fn flatten(raw: &str, deep: bool) -> String {
    if !is_array(raw) {
        return raw.to_owned();
    }
    let items = json::elements(raw).filter_map(|item| {
        if !is_array(item) {
            return Some(Cow::Borrowed(item));
        }
        let flat = if deep { Cow::Owned(flatten(item, deep)) } else { Cow::Borrowed(item) };
        let inside = flat.get(1..flat.len() - 1).unwrap_or_default().trim();
        (!inside.is_empty()).then(|| Cow::Owned(inside.to_owned()))
    });
    list(items)
}

/// The objects of an array as one: a later member replaces an earlier one in its place, unless
/// all are to be preserved.
pub(super) fn join_objects(raw: &str, preserve: bool) -> String {
    if !is_array(raw) {
        return raw.to_owned();
    }
    let mut members: Vec<(&str, &str)> = Vec::new();
    let mut places: HashMap<_, usize> = HashMap::new();
    for (key, value) in json::elements(raw).filter(|item| is_object(item)).flat_map(json::members) {
        match places.get(&json::text(key)) {
            Some(place) if !preserve => members[*place] = (members[*place].0, value),
            _ => {
                places.insert(json::text(key), members.len());
                members.push((key, value));
            }
        }
    }
    join("{", members.iter().map(|(key, value)| format!("{key}:{value}")), "}")
}

/// The keys of an object; for an array, null for each element.
pub(super) fn keys(raw: &str) -> String {
    match Kind::of(raw) {
        Kind::Container if is_object(raw) => list(json::members(raw).map(|(key, _)| key)),
        Kind::Container => list(json::elements(raw).map(|_| "null")),
        Kind::Missing => "[]".to_owned(),
        // A scalar counts as one value without a key.
        _ => "[null]".to_owned(),
    }
}

pub(super) fn values(raw: &str) -> String {
    match Kind::of(raw) {
        Kind::Container if is_object(raw) => list(json::members(raw).map(|(_, value)| value)),
        Kind::Container => raw.to_owned(),
        Kind::Missing => "[]".to_owned(),
        _ => list([raw]),
    }
}

/// Without white space between tokens.
pub(super) fn ugly(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    while at < bytes.len() {
        let start = json::skip_space(bytes, at);
        at = if bytes.get(start) == Some(&b'"') {
            json::string_end(bytes, start + 1).0
        } else {
            (start + 1).min(bytes.len())
        };
        // Outside strings every byte of checked JSON is ASCII, so the cut is between characters.
        out.push_str(raw.get(start..at).unwrap_or_default());
    }
    out
}

/// The JSON inside a string; nothing when what is inside is not JSON.
pub(super) fn from_str(raw: &str) -> String {
    let text = json::text(raw);
    if json::check(&text).is_ok() { text.into_owned() } else { String::new() }
}

/// An object of arrays as an array of objects.
pub(super) fn group(raw: &str) -> String {
    if !is_object(raw) {
        return String::new();
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (key, value) in json::members(raw).filter(|(_, value)| is_array(value)) {
        for (index, item) in json::elements(value).enumerate() {
            if index == rows.len() {
                rows.push(Vec::new());
            }
            rows[index].push(format!("{key}:{item}"));
        }
    }
    list(rows.iter().map(|row| join("{", row, "}")))
}
