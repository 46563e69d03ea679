//! Reads filters from a JSON value and reports every slip with its path.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ContextFilter, DataFilter, Dialect, ExprField, ExprFilter, Filters, Kinds, TimeFilter};
use crate::api::schema::kind_of;
use crate::api::{FieldPath, Problems};

/// How deep `all`, `any` and `not` may be nested. Nobody reads more; it bounds every recursion
/// over dialects, here and where they are compiled and evaluated.
pub const MAX_DEPTH: usize = 32;

const KINDS: &[&str] =
    &["data", "dataLogicalOperator", "exprs", "exprLogicalOperator", "context", "time", "script", "cel", "attributes"];
const DIALECTS: &[&str] = &["all", "any", "not", "exact", "prefix", "suffix", "cesql", "sql"];

pub(super) fn filters(value: &Value, path: &FieldPath, problems: &mut Problems) -> Option<Filters> {
    match value {
        Value::Null => Some(Filters::Kinds(Box::default())),
        Value::Object(_) => kinds(value, path, problems).map(Box::new).map(Filters::Kinds),
        Value::Array(_) => Some(Filters::Dialects(list(value, path, problems, |value, path, problems| {
            dialect(value, path, 1, problems)
        }))),
        _ => {
            problems.push_help(
                path,
                format!("expected a mapping or a sequence of filters, found {}", kind_of(value)),
                format!(
                    "a mapping has {}; a sequence has objects with one of {}",
                    KINDS.join(", "),
                    DIALECTS.join(", ")
                ),
            );
            None
        }
    }
}

fn kinds(value: &Value, path: &FieldPath, problems: &mut Problems) -> Option<Kinds> {
    let map = object(value, path, KINDS, problems)?;
    if let Some(name) = DIALECTS.iter().find(|name| map.contains_key(**name)) {
        problems.push_help(
            path,
            format!("{name:?} belongs into a sequence of filters"),
            format!("write filters: [{{{name}: ...}}]"),
        );
    }
    let member = |name: &str| present(map, name).map(|value| (value, path.field(name)));
    Some(Kinds {
        data: member("data").map(|(value, path)| list(value, &path, problems, data)).unwrap_or_default(),
        data_logical_operator: optional_text(map, "dataLogicalOperator", path, problems),
        exprs: member("exprs").map(|(value, path)| list(value, &path, problems, expr)).unwrap_or_default(),
        expr_logical_operator: optional_text(map, "exprLogicalOperator", path, problems),
        context: member("context").and_then(|(value, path)| context(value, &path, problems)),
        time: member("time").and_then(|(value, path)| time(value, &path, problems)),
        script: optional_text(map, "script", path, problems),
        cel: optional_text(map, "cel", path, problems),
        attributes: member("attributes").and_then(|(value, path)| texts_by_name(value, &path, problems)),
    })
}

fn data(value: &Value, path: &FieldPath, problems: &mut Problems) -> Option<DataFilter> {
    let map = object(value, path, &["path", "type", "comparator", "value", "template"], problems)?;
    let texts = match present(map, "value") {
        Some(values) => list(values, &path.field("value"), problems, text),
        None => missing(path, "value", "a list of texts", problems),
    };
    Some(DataFilter {
        path: required_text(map, "path", path, problems),
        kind: required_text(map, "type", path, problems),
        comparator: optional_text(map, "comparator", path, problems),
        value: texts,
        template: optional_text(map, "template", path, problems),
    })
}

fn expr(value: &Value, path: &FieldPath, problems: &mut Problems) -> Option<ExprFilter> {
    let map = object(value, path, &["expr", "fields"], problems)?;
    let fields = match present(map, "fields") {
        Some(fields) => list(fields, &path.field("fields"), problems, |value, path, problems| {
            let map = object(value, path, &["name", "path"], problems)?;
            Some(ExprField {
                name: required_text(map, "name", path, problems),
                path: required_text(map, "path", path, problems),
            })
        }),
        None => missing(path, "fields", "a list of name and path", problems),
    };
    Some(ExprFilter { expr: required_text(map, "expr", path, problems), fields })
}

fn context(value: &Value, path: &FieldPath, problems: &mut Problems) -> Option<ContextFilter> {
    let map = object(value, path, &["type", "subject", "source", "datacontenttype"], problems)?;
    Some(ContextFilter {
        ty: optional_text(map, "type", path, problems),
        subject: optional_text(map, "subject", path, problems),
        source: optional_text(map, "source", path, problems),
        datacontenttype: optional_text(map, "datacontenttype", path, problems),
    })
}

fn time(value: &Value, path: &FieldPath, problems: &mut Problems) -> Option<TimeFilter> {
    let map = object(value, path, &["start", "stop", "timezone"], problems)?;
    Some(TimeFilter {
        start: required_text(map, "start", path, problems),
        stop: required_text(map, "stop", path, problems),
        timezone: optional_text(map, "timezone", path, problems),
    })
}

fn dialect(value: &Value, path: &FieldPath, depth: usize, problems: &mut Problems) -> Option<Dialect> {
    if depth > MAX_DEPTH {
        problems.push(path, format!("filters are nested more than {MAX_DEPTH} deep"));
        return None;
    }
    let map = object(value, path, DIALECTS, problems)?;
    let members: Vec<_> = map.iter().filter(|(name, _)| DIALECTS.contains(&name.as_str())).collect();
    let (name, value) = match members.as_slice() {
        [] if !map.is_empty() => return None,
        [] if depth == 1 => return Some(Dialect::Empty),
        [] => {
            problems.push_help(path, "an empty filter inside another one", format!("one of {}", DIALECTS.join(", ")));
            return None;
        }
        [(name, value)] => (name.as_str(), *value),
        many => {
            let names: Vec<_> = many.iter().map(|(name, _)| name.as_str()).collect();
            problems.push_help(
                path,
                format!("a filter has exactly one dialect, found {}", names.join(", ")),
                "write each as an object of its own, inside all or any",
            );
            return None;
        }
    };
    let path = path.field(name);
    let parts = |problems: &mut Problems| {
        list(value, &path, problems, |value, path, problems| dialect(value, path, depth + 1, problems))
    };
    Some(match name {
        "all" => Dialect::All(parts(problems)),
        "any" => Dialect::Any(parts(problems)),
        "not" => Dialect::Not(Box::new(dialect(value, &path, depth + 1, problems)?)),
        "exact" => Dialect::Exact(texts_by_name(value, &path, problems)?),
        "prefix" => Dialect::Prefix(texts_by_name(value, &path, problems)?),
        "suffix" => Dialect::Suffix(texts_by_name(value, &path, problems)?),
        "cesql" => Dialect::Cesql(text(value, &path, problems)?),
        _ => Dialect::Sql(text(value, &path, problems)?),
    })
}

fn object<'a>(
    value: &'a Value,
    path: &FieldPath,
    known: &[&str],
    problems: &mut Problems,
) -> Option<&'a Map<String, Value>> {
    let Value::Object(map) = value else {
        let message = format!("expected an object, found {}", kind_of(value));
        problems.push_help(path, message, format!("its members: {}", known.join(", ")));
        return None;
    };
    for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
        problems.unknown_field(path, name, known);
    }
    Some(map)
}

fn list<T>(
    value: &Value,
    path: &FieldPath,
    problems: &mut Problems,
    mut read: impl FnMut(&Value, &FieldPath, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let Value::Array(values) = value else {
        problems.push_help(
            path,
            format!("expected a list, found {}", kind_of(value)),
            "write [..], or one item a line",
        );
        return Vec::new();
    };
    values.iter().enumerate().filter_map(|(index, value)| read(value, &path.index(index), problems)).collect()
}

fn text(value: &Value, path: &FieldPath, problems: &mut Problems) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => {
            let message = format!("expected text, found {}", kind_of(value));
            problems.push_help(path, message, format!("quote it: \"{value}\""));
            None
        }
        _ => {
            problems.push(path, format!("expected text, found {}", kind_of(value)));
            None
        }
    }
}

fn texts_by_name(value: &Value, path: &FieldPath, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
    let Value::Object(map) = value else {
        problems.push(path, format!("expected an object of attribute names and texts, found {}", kind_of(value)));
        return None;
    };
    let entries = map
        .iter()
        .filter_map(|(name, value)| text(value, &path.field(name), problems).map(|text| (name.clone(), text)));
    Some(entries.collect())
}

/// A member that is there; `null` counts as absent, as everywhere in Kubernetes.
fn present<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|value| !value.is_null())
}

fn optional_text(map: &Map<String, Value>, name: &str, path: &FieldPath, problems: &mut Problems) -> Option<String> {
    text(present(map, name)?, &path.field(name), problems)
}

fn required_text(map: &Map<String, Value>, name: &str, path: &FieldPath, problems: &mut Problems) -> String {
    match present(map, name) {
        Some(value) => text(value, &path.field(name), problems).unwrap_or_default(),
        None => missing(path, name, "text", problems),
    }
}

fn missing<T: Default>(path: &FieldPath, name: &str, expected: &str, problems: &mut Problems) -> T {
    problems.push(&path.field(name), format!("required ({expected}) and missing"));
    T::default()
}
