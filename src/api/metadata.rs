//! The metadata of a Dapr Component: the second way in to the shapes of the YAML.
//!
//! A Component's metadata is flat text. A key is the path of a field in the YAML, with dots, so
//! `retention.age` is `age` of `retention`, and the same parser judges both. daprd has resolved
//! secrets by then: their keys carry the values themselves ([`Values`]).

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use super::{FieldPath, Problems, Secret, SecretSource, Secrets};

/// Keys and values as daprd hands them over.
pub type Metadata = BTreeMap<String, String>;

/// What the text of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    /// A whole number from 0 to 65535.
    Number,
    /// `true` or `false`.
    Flag,
    /// Words with commas between them.
    List,
    /// The secret itself.
    Secret,
    /// Any JSON value; what is no JSON is a text.
    Any,
}

/// A key that a kind reads: its name and its shape.
pub type Key = (&'static str, Shape);

/// The keys of `connectionBackoff`.
const BACKOFF: [Key; 5] = [
    ("connectionBackoff.duration", Shape::Text),
    ("connectionBackoff.steps", Shape::Number),
    ("connectionBackoff.factor", Shape::Any),
    ("connectionBackoff.jitter", Shape::Any),
    ("connectionBackoff.cap", Shape::Text),
];

/// All keys of a source that connects to a server: its own, and those of `connectionBackoff`.
///
/// # Panics
/// When `ALL` is not as many as both have: at compile time, where it is called for a constant.
pub const fn connected<const OWN: usize, const ALL: usize>(own: [Key; OWN]) -> [Key; ALL] {
    assert!(OWN + BACKOFF.len() == ALL, "as many as both have");
    let mut all = [BACKOFF[0]; ALL];
    let mut index = 0;
    while index < ALL {
        all[index] = if index < OWN { own[index] } else { BACKOFF[index - OWN] };
        index += 1;
    }
    all
}

/// Where the keys stand in a Component.
pub fn path() -> FieldPath {
    FieldPath::root().field("spec").field("metadata")
}

/// Reads the keys into the raw shape of the YAML; `None` when a problem was found.
pub fn read<T: DeserializeOwned>(metadata: &Metadata, keys: &[Key], problems: &mut Problems) -> Option<T> {
    let before = problems.len();
    let mut object = Map::new();
    for (name, text) in metadata {
        let Some((_, shape)) = keys.iter().find(|(known, _)| known == name) else {
            let known: Vec<&str> = keys.iter().map(|(known, _)| *known).collect();
            problems.unknown_field(&path(), name, &known);
            continue;
        };
        match value(name, text, *shape) {
            Ok(value) => insert(&mut object, name, value),
            Err(reason) => problems.push(&path().field(name), reason),
        }
    }
    if problems.len() > before {
        return None;
    }
    // Every value has its shape: what can still be wrong is a field that is missing.
    serde_json::from_value(Json::Object(object)).map_err(|error| problems.push(&path(), error.to_string())).ok()
}

fn value(name: &str, text: &str, shape: Shape) -> Result<Json, String> {
    Ok(match shape {
        Shape::Text => text.into(),
        Shape::Number => text.parse::<u16>().map_err(|_| format!("{text:?} is no whole number up to 65535"))?.into(),
        Shape::Flag => match text {
            _ if text.eq_ignore_ascii_case("true") => true.into(),
            _ if text.eq_ignore_ascii_case("false") => false.into(),
            _ => return Err(format!("{text:?} is neither true nor false")),
        },
        Shape::List => text.split(',').map(|word| Json::from(word.trim())).collect(),
        Shape::Secret => json!({"secretKeyRef": {"name": "", "key": name}}),
        Shape::Any => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    })
}

/// Puts a value at a path with dots.
fn insert(object: &mut Map<String, Json>, name: &str, value: Json) {
    match name.split_once('.') {
        None => drop(object.insert(name.to_owned(), value)),
        Some((outer, inner)) => {
            let nested = object.entry(outer).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(nested) = nested {
                insert(nested, inner, value);
            }
        }
    }
}

/// What a key of the YAML becomes in a Component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    Value(String),
    /// What stands in the YAML in the place of the secret.
    Secret(Json),
}

/// Writes the raw shape of the YAML as keys: what [`read`] reads. Beside it, the paths of the fields that
/// no key stands for; a field that is null is none.
pub fn write(object: &Map<String, Json>, keys: &[Key]) -> (Vec<(&'static str, Written)>, Vec<String>) {
    let (mut written, mut left) = (Vec::new(), Vec::new());
    write_below("", object, keys, &mut written, &mut left);
    (written, left)
}

fn write_below(
    prefix: &str,
    object: &Map<String, Json>,
    keys: &[Key],
    written: &mut Vec<(&'static str, Written)>,
    left: &mut Vec<String>,
) {
    for (field, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        let name = if prefix.is_empty() { field.clone() } else { format!("{prefix}.{field}") };
        let below = |key: &str| key.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'));
        match (keys.iter().find(|(known, _)| *known == name), value) {
            (Some((known, shape)), _) => written.push((known, as_text(value, *shape))),
            (None, Json::Object(nested)) if keys.iter().any(|(key, _)| below(key)) => {
                write_below(&name, nested, keys, written, left);
            }
            (None, _) => left.push(name),
        }
    }
}

fn as_text(value: &Json, shape: Shape) -> Written {
    let plain = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Written::Value(match (shape, value) {
        (Shape::Secret, _) => return Written::Secret(value.clone()),
        (Shape::Any, _) => value.to_string(),
        (Shape::List, Json::Array(words)) => words.iter().map(plain).collect::<Vec<_>>().join(","),
        _ => plain(value),
    })
}

/// Secrets that are the values of keys.
#[derive(Clone, Copy)]
pub struct Values<'a>(pub &'a Metadata);

impl Secrets for Values<'_> {
    fn resolve(&self, source: &SecretSource) -> Result<Secret, String> {
        let key = source.secret_key_ref.as_ref().map(|reference| reference.key.as_str()).unwrap_or_default();
        match self.0.get(key) {
            Some(value) if !value.is_empty() => Ok(Secret::new(value)),
            _ => Err("the secret is empty".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::event_source::HttpEvent;

    const KEYS: [Key; 5] = [
        ("path", Shape::Text),
        ("port", Shape::Number),
        ("methods", Shape::List),
        ("response.code", Shape::Number),
        ("bearer", Shape::Secret),
    ];

    fn check(pairs: &[(&str, &str)]) -> Result<HttpEvent, String> {
        let metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut problems = Problems::new();
        read(&metadata, &KEYS, &mut problems).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn keys_are_paths_into_the_yaml() {
        let event = check(&[("path", "/x"), ("port", "8081"), ("methods", "POST, PUT"), ("response.code", "204")]);
        let event = event.unwrap();
        assert_eq!((event.path.as_deref(), event.port), (Some("/x"), Some(8081)));
        assert_eq!(event.methods.unwrap(), ["POST", "PUT"]);
        assert_eq!(event.response.unwrap().code, Some(204));
    }

    #[test]
    fn a_secret_is_the_value_of_its_key() {
        let metadata = Metadata::from([("bearer".to_owned(), "hunter2".to_owned())]);
        let event: HttpEvent = read(&metadata, &KEYS, &mut Problems::new()).unwrap();
        assert_eq!(Values(&metadata).resolve(&event.bearer.unwrap()).unwrap().expose(), "hunter2");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let yaml = json!({
            "path": "/x", "port": 8081, "methods": ["POST", "PUT"], "response": {"code": 204, "body": null},
            "bearer": {"env": "TOKEN"}, "attributes": {"type": "t"},
        });
        let (written, left) = write(yaml.as_object().unwrap(), &KEYS);
        assert_eq!(left, ["attributes"]);
        let secret = Written::Secret(json!({"env": "TOKEN"}));
        assert!(written.contains(&("bearer", secret)), "{written:?}");
        let values = written.into_iter().filter_map(|(key, written)| match written {
            Written::Value(value) => Some((key.to_owned(), value)),
            Written::Secret(_) => None,
        });
        let event: HttpEvent = read(&values.collect(), &KEYS, &mut Problems::new()).unwrap();
        let expected = json!({"path": "/x", "port": 8081, "methods": ["POST", "PUT"], "response": {"code": 204}});
        assert_eq!(event, serde_json::from_value(expected).unwrap());
        // A text that looks like something else stays a text.
        let (written, _) = write(json!({"data": "5"}).as_object().unwrap(), &[("data", Shape::Any)]);
        assert_eq!(written, [("data", Written::Value("\"5\"".to_owned()))]);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused_with_what_is_known() {
        assert_eq!(
            check(&[("prot", "1")]).unwrap_err(),
            "spec.metadata.prot: unknown field \"prot\" (did you mean \"port\"? known: path, port, methods, response.code, bearer)"
        );
        assert_eq!(
            check(&[("port", "99999")]).unwrap_err(),
            "spec.metadata.port: \"99999\" is no whole number up to 65535"
        );
    }
}
