//! An event as a value of CEL.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::objects::Key;

use crate::event::{Event, Value as Attribute};
use crate::router::filter::{Payload, Subject, Values, attribute_value};

type Json = serde_json::Value;

/// The variable `event`: the attributes, and `data` when there is any.
pub(super) fn event(event: &Event, data: Option<Json>) -> Value {
    let mut members: HashMap<Key, Value> = HashMap::new();
    for (name, value) in [("id", event.id()), ("source", event.source()), ("type", event.ty())] {
        members.insert(name.into(), value.into());
    }
    members.insert("specversion".into(), "1.0".into());
    for (name, value) in event.attributes() {
        let value = match value {
            Attribute::Boolean(truth) => Value::Bool(truth),
            Attribute::Integer(number) => Value::Int(i64::from(number)),
            other => Value::String(Arc::new(other.into_text().into_owned())),
        };
        members.insert(name.into(), value);
    }
    if let Some(data) = data {
        members.insert("data".into(), json(data));
    }
    Value::from(members)
}

/// Numbers become doubles, whether they are written with a point or not.
fn json(value: Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(Arc::new(text)),
        Json::Array(elements) => Value::List(Arc::new(elements.into_iter().map(json).collect())),
        Json::Object(members) => {
            let members: HashMap<Key, Value> =
                members.into_iter().map(|(key, member)| (Key::from(key), json(member))).collect();
            Value::from(members)
        }
    }
}

/// What stands at `path` below `event`, for people.
pub(super) fn shown(subject: &Subject<'_>, path: &[String], values: Values) -> String {
    let (first, rest) = match path.split_first() {
        Some((first, rest)) if first == "data" => ("data", rest),
        Some((name, _)) => {
            return match attribute_value(subject.event(), name) {
                Some(value) => format!("event.{name} is {value:?}"),
                None => format!("event.{name} is missing"),
            };
        }
        None => ("data", path),
    };
    let name = [&["event", first][..], &rest.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat().join(".");
    let Payload::Json(json) = subject.payload() else {
        return format!("{name} is missing");
    };
    let parsed: Option<Json> = serde_json::from_str(json).ok();
    let found = rest.iter().try_fold(parsed.as_ref(), |json, key| json.map(|json| json.get(key)));
    match found.flatten() {
        Some(value) => format!("{name} is {}", values.shower()(&value.to_string())),
        None => format!("{name} is missing"),
    }
}
