//! What is wrong with a document that a person wrote, and where: all of it, not the first of it.
//!
//! A reader never stops at a problem: it pushes a [`Problem`] with its [`FieldPath`] and reads on,
//! so that one run of `check`, or one status message, names everything there is to repair.

use std::fmt;

/// The place of a value inside a document, as people write it:
/// `spec.eventSources[0].filters.data[1].path`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    /// The whole document.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// The member `name` of this value. A name that is no plain word is written in brackets, as
    /// in `data["tls.crt"]`.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        Self(match (plain, self.0.is_empty()) {
            (true, true) => name.to_owned(),
            (true, false) => format!("{}.{name}", self.0),
            (false, _) => format!("{}[{name:?}]", self.0),
        })
    }

    /// The element `index` of this list, counted from zero.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value around this one; none around the whole document.
    pub fn parent(&self) -> Option<Self> {
        // Quotes inside a bracketed name are escaped, and plain names have neither dot nor bracket.
        let end = if self.0.is_empty() {
            return None;
        } else if self.0.ends_with("\"]") {
            self.0.rfind("[\"")
        } else if self.0.ends_with(']') {
            self.0.rfind('[')
        } else {
            self.0.rfind('.')
        };
        Some(Self(self.0[..end.unwrap_or(0)].to_owned()))
    }

    /// Whether this is `other` or a part of it.
    pub fn is_within(&self, other: &Self) -> bool {
        match self.0.strip_prefix(&other.0) {
            Some(rest) => other.0.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        }
    }

    /// For a part of an element of the list at `list`: the element's index, and the path from there.
    pub fn below(&self, list: &Self) -> Option<(usize, Self)> {
        let rest = self.0.strip_prefix(&list.0)?.strip_prefix('[')?;
        let (index, rest) = rest.split_once(']')?;
        Some((index.parse().ok()?, Self(rest.strip_prefix('.').unwrap_or(rest).to_owned())))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing to repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: FieldPath,
    /// What is wrong, without the path.
    pub message: String,
    /// What to write instead, when that is known.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.as_str().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Everything there is to repair, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    errors: Vec<Problem>,
    unsupported: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Problems {
    pub const fn new() -> Self {
        Self { errors: Vec::new(), unsupported: Vec::new(), warnings: Vec::new() }
    }

    pub fn push(&mut self, path: &FieldPath, message: impl Into<String>) {
        self.errors.push(Problem { path: path.clone(), message: message.into(), help: None });
    }

    pub fn push_help(&mut self, path: &FieldPath, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(Problem { path: path.clone(), message: message.into(), help: Some(help.into()) });
    }

    /// Something right that this version cannot do yet: a warning where a document is only judged,
    /// an error where it is to be run. `feature` completes the sentence "... is not supported yet".
    pub fn unsupported(&mut self, path: &FieldPath, feature: &str) {
        let message = format!("{feature} is not supported by this version yet");
        self.unsupported.push(Problem { path: path.clone(), message, help: None });
    }

    /// Something right that one machine cannot do: as [`Problems::unsupported`], in words of its own.
    pub fn cluster_only(&mut self, path: &FieldPath, message: impl Into<String>) {
        self.unsupported.push(Problem { path: path.clone(), message: message.into(), help: None });
    }

    /// Something that is taken as it is, but that a person should know about.
    pub fn warn(&mut self, path: &FieldPath, message: impl Into<String>) {
        self.warnings.push(Problem { path: path.clone(), message: message.into(), help: None });
    }

    /// A member of the value at `path` that nobody reads; `known` are those that are read there.
    pub fn unknown_field(&mut self, path: &FieldPath, name: &str, known: &[&str]) {
        self.push_help(&path.field(name), format!("unknown field {name:?}"), alternatives(name, known));
    }

    /// A word that is none of the `known` ones.
    pub fn unknown_value(&mut self, path: &FieldPath, word: &str, known: &[&str]) {
        self.push_help(path, format!("unknown value {word:?}"), alternatives(word, known));
    }

    /// Whether there is no error; warnings and what is not supported yet do not count.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// How many errors there are; a reader compares it before and after to see whether a part was right.
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    /// The errors.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.errors.iter()
    }

    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// What is right but cannot be run by this version, or on one machine.
    pub fn not_supported(&self) -> &[Problem] {
        &self.unsupported
    }

    /// The errors.
    pub fn into_vec(self) -> Vec<Problem> {
        self.errors
    }

    /// Adds all errors and warnings of `other`.
    pub fn append(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.unsupported.extend(other.unsupported);
        self.warnings.extend(other.warnings);
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One problem a line, for a status message or a terminal.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// `message` with the column of the byte `at`, and below it the text with a caret under that column.
pub fn pointed(text: &str, at: usize, message: &str) -> String {
    /// What is shown of a long condition, before and after the caret.
    const AROUND: usize = 60;
    let before: Vec<char> = text[..at].chars().collect();
    let skipped = before.len().saturating_sub(AROUND);
    let shown = before[skipped..].iter().copied().chain(text[at..].chars().take(AROUND));
    // A line break or a tab would shift the caret.
    let line: String = shown.map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c }).collect();
    let indent = " ".repeat(before.len() - skipped);
    format!("{message} at column {}\n  {}\n  {indent}^", before.len() + 1, line.trim_end())
}

/// The help for an unknown word: the nearest known one if any is near, and all known ones.
pub fn alternatives(word: &str, known: &[&str]) -> String {
    let list = match known {
        [] => return "nothing is known here".to_owned(),
        [one] => format!("known: {one}"),
        many => format!("known: {}", many.join(", ")),
    };
    match nearest(word, known) {
        Some(near) => format!("did you mean {near:?}? {list}"),
        None => list,
    }
}

/// The known word that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Jaro-Winkler similarity from which a word counts as a slip of the pen; below it, the
    /// suggestion would be a guess.
    const NEAR: f64 = 0.8;
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_people_write_it() {
        let sources = FieldPath::root().field("spec").field("eventSources");
        let path = sources.index(0).field("filters").field("data").index(1).field("path");
        assert_eq!(path.to_string(), "spec.eventSources[0].filters.data[1].path");
        assert_eq!(FieldPath::root().field("data").field("tls.crt").as_str(), "data[\"tls.crt\"]");
        assert_eq!(FieldPath::root().index(2).as_str(), "[2]");
    }

    #[test]
    fn a_path_knows_what_is_around_it() {
        let root = FieldPath::root();
        let data = root.field("spec").field("items").index(3).field("tls.crt");
        assert_eq!(data.as_str(), "spec.items[3][\"tls.crt\"]");
        let parents: Vec<String> =
            std::iter::successors(data.parent(), FieldPath::parent).map(|path| path.to_string()).collect();
        assert_eq!(parents, ["spec.items[3]", "spec.items", "spec", ""]);
        let list = root.field("spec").field("items");
        assert_eq!(data.below(&list), Some((3, root.field("tls.crt"))));
        assert!(data.is_within(&list) && list.is_within(&list) && list.is_within(&root));
        assert!(!list.field("x").is_within(&root.field("spec").field("item")));
    }

    #[test]
    fn an_unknown_field_names_the_nearest_and_all_known_ones() {
        let check = |name: &str, expected: &str| {
            let mut problems = Problems::new();
            problems.unknown_field(&FieldPath::root().field("spec"), name, &["condition", "sink", "topic"]);
            assert_eq!(problems.to_string(), expected);
        };
        check(
            "conditon",
            "spec.conditon: unknown field \"conditon\" (did you mean \"condition\"? known: condition, sink, topic)",
        );
        check("Sink", "spec.Sink: unknown field \"Sink\" (did you mean \"sink\"? known: condition, sink, topic)");
        check("xyz", "spec.xyz: unknown field \"xyz\" (known: condition, sink, topic)");
    }

    #[test]
    fn problems_are_kept_in_order_one_a_line() {
        let mut problems = Problems::new();
        assert!(problems.is_empty());
        problems.push(&FieldPath::root(), "first");
        problems.push_help(&FieldPath::root().field("a"), "second", "write b");
        assert_eq!(problems.to_string(), "first\na: second (write b)");
        assert_eq!(problems.len(), 2);
    }
}
