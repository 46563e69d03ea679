//! Where things stand in a file.

use std::collections::HashMap;
use std::fmt;

use crate::api::FieldPath;

/// A line and a column, both counted from one; columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    /// The beginning of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// As compilers write it: `line:column`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where the parts of one document stand: a member at its key, an element at its beginning.
#[derive(Clone, Debug, Default)]
pub struct Places(HashMap<FieldPath, Place>);

impl Places {
    pub(super) fn set(&mut self, path: &FieldPath, place: Place) {
        self.0.insert(path.clone(), place);
    }

    /// Where `path` stands, or else the innermost part around it that is there (what is missing, or
    /// came by an alias, has no place of its own).
    pub fn of(&self, path: &FieldPath) -> Place {
        let mut path = path.clone();
        loop {
            if let Some(place) = self.0.get(&path) {
                return *place;
            }
            match path.parent() {
                Some(parent) => path = parent,
                None => return Place::START,
            }
        }
    }

    /// The places of the elements of the list at `list`, each as a document of its own.
    pub(super) fn split(self, list: &FieldPath, count: usize) -> Vec<Self> {
        let whole = self.of(list);
        let mut parts = vec![Self::default(); count];
        for (index, part) in parts.iter_mut().enumerate() {
            part.set(&FieldPath::root(), self.0.get(&list.index(index)).copied().unwrap_or(whole));
        }
        for (path, place) in self.0 {
            if let Some((index, rest)) = path.below(list)
                && let Some(part) = parts.get_mut(index)
            {
                part.0.insert(rest, place);
            }
        }
        parts
    }
}
