//! Placeholder until the conditions land: names joined by `||`, nothing else.

use crate::api::{FieldPath, Problems};

/// A parsed condition.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    alone: Option<Vec<String>>,
}

impl Condition {
    pub fn parse(text: Option<&str>, names: &[&str], _: &FieldPath, _: &mut Problems) -> Self {
        let words: Vec<&str> = match text {
            Some(text) => text.split("||").map(str::trim).collect(),
            None if names.len() == 1 => names.to_vec(),
            None => Vec::new(),
        };
        let plain = !words.is_empty() && words.iter().all(|word| names.contains(word));
        Self { alone: plain.then(|| words.into_iter().map(str::to_owned).collect()) }
    }

    /// Any of the names.
    pub fn any_of(names: &[&str]) -> Self {
        Self { alone: Some(names.iter().map(|name| (*name).to_owned()).collect()) }
    }

    /// The names whose events fire it alone; `None` when it joins events.
    pub fn alone(&self) -> Option<&[String]> {
        self.alone.as_deref()
    }
}
