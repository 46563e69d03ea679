//! `exprs` of Argo Events: an expression over values of the payload, in the language of govaluate.
//!
//! Every path must find something, whether its name is reached or not. Nothing is cast: `==` of
//! different types is false, everything else is an error. The result must be exactly true.
//!
//! Differences from govaluate, all in favour of what was meant:
//!
//! - Text that looks like a date stays text, so that it can equal a field.
//! - `x in (1)` works; one field in the brackets may still hold the list itself.
//! - A backslash in a text stands before a quote or a backslash; `\d` is refused (it would be `d`).
//! - The pattern of `=~` and `!~` is a literal: compiled once, with the dialect of [`Pattern`].
//! - A choice inside a choice needs brackets: govaluate groups `a ? b : c ? d : e` to the left. A
//!   choice gives its branch also when that is null.
//! - Operators need no blanks between them (`a>-1`, `!!a`), texts may hold the other quote.
//! - A text joins with a text, number or truth only, not with null or a list.
//! - Unknown names, and operators on literals that they do not take, are refused.
//!
//! [`Pattern`]: super::pattern::Pattern

mod lex;
mod node;
mod parse;
mod part;
mod value;

use std::borrow::Cow;

use smallvec::SmallVec;

use self::node::Node;
use self::parse::Parser;
use self::value::{Type, Value};
use super::data::shortened;
use super::path::{Found, Path};
use super::slip::Slip;
use super::{Cause, Paths, Payload, Subject, Values, Verdict, compile};
use crate::api::filter::ExprFilter;
use crate::api::{FieldPath, Problems};

/// The longest expression taken, in bytes; as for conditions.
pub const MAX_LEN: usize = 4096;

/// How deep an expression may be nested, in brackets and as a tree; it bounds every recursion.
pub const MAX_DEPTH: usize = 64;

/// Most expressions look at a few fields: their values need no allocation.
const INLINE_FIELDS: usize = 4;

type Bound<'v> = SmallVec<[Cow<'v, str>; INLINE_FIELDS]>;

/// A compiled expression with its fields.
#[derive(Clone, Debug)]
pub struct ExprTest {
    text: Box<str>,
    fields: Box<[Field]>,
    root: Node,
}

#[derive(Clone, Debug)]
struct Field {
    name: Box<str>,
    path: Path,
    /// Where filters that are matched together keep what this path finds.
    slot: Option<usize>,
}

impl ExprTest {
    /// Compiles the item at `path`; nothing when a problem was found.
    pub(super) fn compile(raw: &ExprFilter, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let fields = fields(raw, &path.field("fields"), problems);
        let names: Vec<_> = raw.fields.iter().map(|field| field.name.as_str()).collect();
        let at = path.field("expr");
        if raw.expr.len() > MAX_LEN {
            problems.push(&at, format!("the expression is longer than {MAX_LEN} bytes"));
            return None;
        }
        let root = match read(&raw.expr, &names) {
            Ok(root) => root,
            Err(slip) => {
                slip.refuse(&raw.expr, &at, problems);
                return None;
            }
        };
        (problems.len() == before).then(|| Self { text: raw.expr.as_str().into(), fields: fields.into(), root })
    }

    pub(super) fn share_paths(&mut self, paths: &mut Paths) {
        for field in &mut self.fields {
            field.slot = Some(paths.slot(&field.path));
        }
    }

    pub(super) fn judge(&self, subject: &Subject<'_>) -> Verdict {
        let text = match subject.payload() {
            Payload::Absent => return Verdict::Yes,
            Payload::Unusable(cause) => return Verdict::Error(cause),
            Payload::Json(text) => text,
        };
        let values: Result<Bound<'_>, Cause> = self.fields.iter().map(|field| field.value(subject, text)).collect();
        let values = match values {
            Ok(values) => values,
            Err(cause) => return Verdict::Error(cause),
        };
        match self.root.value(&values) {
            Ok(Value::Truth(true)) => Verdict::Yes,
            Ok(Value::Truth(false)) => Verdict::No,
            Ok(_) => Verdict::Error(Cause::NotBool),
            Err(cause) => Verdict::Error(cause),
        }
    }

    pub(super) fn explain(&self, subject: &Subject<'_>, values: Values) -> String {
        let show = values.shower();
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = shortened(&text);
        match subject.payload() {
            Payload::Absent => format!("expr {text}, where nothing is looked at: the event has no data"),
            Payload::Unusable(_) => format!("expr {text}, where the data is no JSON that can be read"),
            Payload::Json(json) => {
                let seen = self.fields.iter().map(|field| match field.path.find(json) {
                    Found::Value(raw) => format!("{} is {}", field.name, show(&raw)),
                    Found::Missing => format!("{} is missing", field.name),
                    Found::TooCostly => format!("{} costs too much to read", field.name),
                });
                format!("expr {text}, where {}", seen.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl Field {
    fn value<'s, 'e>(&self, subject: &'s Subject<'e>, text: &'e str) -> Result<Cow<'s, str>, Cause> {
        let Some(cell) = self.slot.and_then(|slot| subject.slot(slot)) else {
            return raw(self.path.find(text));
        };
        // The subject keeps what is found, for other filters with this path.
        match cell.get_or_init(|| self.path.find(text)) {
            Found::Value(found) => Ok(Cow::Borrowed(found)),
            Found::Missing => raw(Found::Missing),
            Found::TooCostly => raw(Found::TooCostly),
        }
    }
}

fn raw(found: Found<'_>) -> Result<Cow<'_, str>, Cause> {
    match found {
        Found::Value(raw) => Ok(raw),
        Found::Missing => Err(Cause::MissingValue),
        Found::TooCostly => Err(Cause::TooCostly),
    }
}

fn fields(raw: &ExprFilter, path: &FieldPath, problems: &mut Problems) -> Vec<Field> {
    if raw.fields.is_empty() {
        problems.push_help(path, "at least one field is needed", "a name for the expression, and its path in the data");
    }
    let fields = raw.fields.iter().enumerate().filter_map(|(index, field)| {
        let at = path.index(index);
        if field.name.is_empty() {
            problems.push(&at.field("name"), "a name must not be empty");
        }
        if raw.fields.iter().take(index).any(|other| other.name == field.name) {
            problems.push(&at.field("name"), format!("two fields are named {:?}", field.name));
        }
        let path = compile::path(&field.path, &at.field("path"), problems)?;
        Some(Field { name: field.name.as_str().into(), path, slot: None })
    });
    fields.collect()
}

fn read(text: &str, names: &[&str]) -> Result<Node, Slip> {
    let part = Parser::new(lex::tokens(text)?, names).whole()?;
    match part.ty {
        None | Some(Type::Truth) => Ok(part.node),
        Some(other) => {
            let start = text.len() - text.trim_start().len();
            Err(Slip::new(start, format!("a filter must give true or false, this is {}", other.name())))
        }
    }
}

#[cfg(test)]
mod tests;
