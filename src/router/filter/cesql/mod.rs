//! `CloudEvents` SQL 1.0.0: an expression over the attributes of an event.
//!
//! Compiled once, with everything refused that is wrong for every event: syntax, unknown
//! functions, numbers out of range, parts that can only fail, a result that is no truth. As a
//! filter it says yes when the result is true and nothing failed; a failure is an error, also
//! under `not` (Knative would deliver there).
//!
//! Where the texts of the specification disagree, or leave something open:
//!
//! - `AND`, `OR` and `XOR` are one level. Mixed without brackets they group to the right, as in
//!   the published grammar and the engines (the text says from the left); the author is warned.
//! - `NOT 10` is false, as the table of casts says; the conformance suite wants true and an error.
//! - A result of `+ - *` or unary `-` out of range is a math error; the engines wrap around.
//! - `4-1` is a subtraction; the published lexer reads 4 and then -1, and refuses it.
//! - Names are taken in any case and lower-cased, as in the suite.
//! - `'it''s'` is refused: the grammar knows doubled quotes, the text does not.
//! - What stands beside an error (the value of `ABS(-2147483648)`) is not kept: a filter fails fast.
//! - Unknown functions and constant parts that fail are refused, not errors of every event.

mod build;
mod follow;
mod function;
mod lex;
mod like;
mod necessary;
mod node;
mod parse;
mod value;

use self::node::Node;
use self::parse::Parser;
use self::value::{Type, Value};
use super::data::shortened;
use super::slip::Slip;
use super::{Cause, Expression, Subject, Verdict, attribute_value};
use crate::api::{FieldPath, Problems};
use crate::event::Event;

/// The longest expression taken, in bytes; as for conditions.
pub const MAX_LEN: usize = 4096;

/// How deep an expression may be nested, in brackets and as a tree; it bounds every recursion.
pub const MAX_DEPTH: usize = 64;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Cesql {
    text: Box<str>,
    root: Node,
    /// The attributes it looks at, in the order in which they are written.
    names: Box<[Box<str>]>,
    /// What is true of every event to which it says yes.
    implied: Option<Box<Expression>>,
}

impl Cesql {
    /// Compiles `text`, the value at `path`; nothing when a problem was found.
    pub(super) fn compile(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        if text.len() > MAX_LEN {
            problems.push(path, format!("the expression is longer than {MAX_LEN} bytes"));
            return None;
        }
        match read(text) {
            Ok((compiled, warnings)) => {
                for warning in warnings {
                    warning.warn(text, path, problems);
                }
                Some(compiled)
            }
            Err(slip) => {
                slip.refuse(text, path, problems);
                None
            }
        }
    }

    pub(super) fn judge(&self, subject: &Subject<'_>) -> Verdict {
        match self.value(subject.event()) {
            Ok(Value::Truth(true)) => Verdict::Yes,
            Ok(Value::Truth(false)) => Verdict::No,
            // Only an attribute alone is not known to be a truth when it is compiled.
            Ok(_) => Verdict::Error(Cause::NotBool),
            Err(cause) => Verdict::Error(cause),
        }
    }

    fn value<'v>(&'v self, event: &'v Event) -> Result<Value<'v>, Cause> {
        self.root.value(event)
    }

    pub(super) fn explain(&self, subject: &Subject<'_>) -> String {
        let seen = self.names.iter().map(|name| match attribute_value(subject.event(), name) {
            Some(value) => format!("{name} is {value:?}"),
            None => format!("{name} is missing"),
        });
        let seen: Vec<_> = seen.collect();
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!(
            "cesql {}, where {}",
            shortened(&text),
            if seen.is_empty() { "nothing is looked at".into() } else { seen.join(", ") }
        )
    }

    /// What must be true of an event for this to say yes, as far as it can be looked up.
    pub(crate) fn implied(&self) -> Option<&Expression> {
        self.implied.as_deref()
    }
}

fn read(text: &str) -> Result<(Cesql, Vec<Slip>), Slip> {
    let (compiled, ty, warnings) = expression(text)?;
    match ty {
        None | Some(Type::Truth) => Ok((compiled, warnings)),
        Some(other) => {
            let start = text.len() - text.trim_start().len();
            Err(Slip::new(start, format!("a filter must give true or false, this is {}", other.name()))
                .help("compare it, as in LENGTH(subject) > 3"))
        }
    }
}

/// An expression of any type, with what it gives when that is known, and what to warn of.
fn expression(text: &str) -> Result<(Cesql, Option<Type>, Vec<Slip>), Slip> {
    let mut parser = Parser::new(lex::tokens(text)?);
    let part = parser.whole()?;
    if let Some(failure) = parser.builder.failure() {
        return Err(failure);
    }
    let implied = necessary::necessary(&part.node).map(Box::new);
    let names = parser.builder.names.into();
    Ok((Cesql { text: text.into(), root: part.node, names, implied }, part.ty, parser.builder.warnings))
}

#[cfg(test)]
mod tests;
