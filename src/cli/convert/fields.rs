//! An object being emptied: what is taken is converted, what stays behind is reported.

use serde_json::{Map, Value as Json};

use crate::api::FieldPath;

/// How a note bears on the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It is not in what was printed.
    LeftOut,
    /// It is there, and means something else.
    Changed,
}

/// One thing that a reader of the result must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub path: FieldPath,
    pub weight: Weight,
    pub message: String,
}

/// Everything to know about one document.
#[derive(Debug, Default)]
pub struct Notes(pub Vec<Note>);

impl Notes {
    pub fn left_out(&mut self, path: &FieldPath, message: impl Into<String>) {
        self.0.push(Note { path: path.clone(), weight: Weight::LeftOut, message: message.into() });
    }

    pub fn changed(&mut self, path: &FieldPath, message: impl Into<String>) {
        self.0.push(Note { path: path.clone(), weight: Weight::Changed, message: message.into() });
    }
}

/// The members of an object that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Fields {
    members: Map<String, Json>,
    pub path: FieldPath,
}

impl Fields {
    /// Reads an object; anything else is reported and counts as empty. Null is an empty object.
    pub fn new(value: Json, path: FieldPath, notes: &mut Notes) -> Self {
        let members = match value {
            Json::Object(members) => members,
            Json::Null => Map::new(),
            _ => {
                notes.left_out(&path, "expected an object");
                Map::new()
            }
        };
        Self { members, path }
    }

    pub fn at(&self, name: &str) -> FieldPath {
        self.path.field(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// The member, unless it is absent or null.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// The member as an object, empty when absent.
    pub fn object(&mut self, name: &str, notes: &mut Notes) -> Self {
        Self::new(self.take(name).unwrap_or_default(), self.at(name), notes)
    }

    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Json::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    /// The elements of a list, each with its place.
    pub fn list(&mut self, name: &str, notes: &mut Notes) -> Vec<(FieldPath, Json)> {
        let path = self.at(name);
        match self.take(name) {
            None => Vec::new(),
            Some(Json::Array(items)) => {
                items.into_iter().enumerate().map(|(index, item)| (path.index(index), item)).collect()
            }
            Some(_) => {
                notes.left_out(&path, "expected a list");
                Vec::new()
            }
        }
    }

    /// The members themselves, each with its place: a map of names.
    pub fn entries(self) -> Vec<(String, FieldPath, Json)> {
        let Self { members, path } = self;
        members.into_iter().map(|(name, value)| (name.clone(), path.field(&name), value)).collect()
    }

    /// Copies members whose names and meanings are the same.
    pub fn copy(&mut self, names: &[&str], to: &mut Map<String, Json>) {
        for name in names {
            self.rename(name, name, to);
        }
    }

    /// Copies a member that has another name.
    pub fn rename(&mut self, name: &str, new: &str, to: &mut Map<String, Json>) {
        if let Some(value) = self.take(name) {
            to.insert(new.to_owned(), value);
        }
    }

    /// Copies a selector of a Secret, `{name, key}`, as a reference.
    pub fn secret(&mut self, name: &str, new: &str, to: &mut Map<String, Json>) {
        if let Some(selector) = self.take(name) {
            let reference = serde_json::json!({"name": selector["name"], "key": selector["key"]});
            to.insert(new.to_owned(), serde_json::json!({ "secretKeyRef": reference }));
        }
    }

    /// Reports what is left.
    pub fn finish(self, notes: &mut Notes) {
        for (_, path, value) in self.entries() {
            if !value.is_null() {
                notes.left_out(&path, "there is no equivalent");
            }
        }
    }
}

/// Text or a number as a number.
pub fn number(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}
