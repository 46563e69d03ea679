//! Filters: which events an input takes. Pure: values in, a verdict out.
//!
//! A [`Filter`] is compiled once from the raw [`Filters`], with everything that can be wrong
//! refused then, and evaluated for every event. Verdicts are three-valued (Kleene): an error is
//! neither yes nor no, loses against the deciding side of `and` and `or`, and stays an error under
//! `not`; at the top it means no, and is counted by its [`Cause`].
//!
//! Differences from the originals are choices: text, null and containers are no number and no
//! truth (Argo takes 0 and false); `!=` with several values means none of them (Argo: any
//! differs); the comparator of a bool counts (Argo ignores it); an attribute compares by its
//! canonical text whatever its type. An event without data passes data filters, as in Argo.

mod attribute;
mod cel;
mod cesql;
mod compile;
mod data;
mod exprs;
pub mod json;
mod key;
pub mod path;
pub mod pattern;
mod script;
mod slip;
mod subject;
pub mod template;
mod time;
mod transform;

pub use self::cel::Cel;
pub(crate) use attribute::value as attribute_value;
pub use attribute::{AttributeTest, Want};
pub use cesql::Cesql;
pub use data::{Comparator, DataTest, Wanted};
pub use exprs::ExprTest;
pub use key::KeyPath;
pub use script::ScriptTest;
pub use subject::{Paths, Payload, Subject};
pub use transform::Transform;

use crate::api::filter::Filters;
use crate::api::{FieldPath, Problems};
use crate::event::Event;

/// What a filter says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    No,
    /// It cannot be told; at the top this means no.
    Error(Cause),
}

/// Why a filter cannot tell; a closed list for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The payload is there but empty.
    EmptyPayload,
    /// The payload is not strict JSON.
    NotJson,
    /// The payload is nested too deep.
    TooDeep,
    /// The path finds nothing.
    MissingValue,
    /// The value is no number.
    NotNumber,
    /// The value is no truth.
    NotBool,
    /// The path, script or expression costs more than it may.
    TooCostly,
    /// The event has no time, or one that cannot be read.
    MissingTime,
    /// The event does not have an attribute that an expression looks at.
    MissingAttribute,
    /// A value cannot be cast to the type that an expression needs.
    Cast,
    /// An operator of an expression meets a value of a type that it does not take.
    WrongType,
    /// An expression divides by zero, or leaves the range of its numbers.
    Math,
    /// A function cannot work with its arguments.
    Function,
    /// A script failed.
    Script,
    /// A template failed.
    Template,
}

impl Cause {
    /// The stable word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmptyPayload => "empty_payload",
            Self::NotJson => "not_json",
            Self::TooDeep => "too_deep",
            Self::MissingValue => "missing_value",
            Self::NotNumber => "not_number",
            Self::NotBool => "not_bool",
            Self::TooCostly => "too_costly",
            Self::MissingTime => "missing_time",
            Self::MissingAttribute => "missing_attribute",
            Self::Cast => "cast",
            Self::WrongType => "wrong_type",
            Self::Math => "math",
            Self::Function => "function",
            Self::Script => "script",
            Self::Template => "template",
        }
    }
}

/// How much of the data of an event an explanation shows. Attributes are shown in any case: they are
/// what systems route by, while data may be private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// What values are, and how long, but not which.
    Redacted,
    /// The values, long ones cut.
    Shown,
}

/// A compiled filter. Cheap to evaluate, never fails, holds no state.
#[derive(Clone, Debug)]
pub struct Filter(Expression);

/// A filter as a tree; the leaves look at the event.
#[derive(Clone, Debug)]
pub enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Attribute(AttributeTest),
    Data(Box<DataTest>),
    Time(Box<time::Span>),
    Cesql(Box<Cesql>),
    Expr(Box<ExprTest>),
    Script(ScriptTest),
    Cel(Box<Cel>),
}

impl Filter {
    /// The filter of an input that has none: everything passes.
    pub const fn pass() -> Self {
        Self(Expression::All(Vec::new()))
    }

    /// Compiles the filters of the input at `input`, whose members are `filters` and
    /// `filtersLogicalOperator` (`and` or `or` between the kinds; `and` when absent). Everything
    /// wrong or not supported yet goes to `problems`; the result is of use only when neither was
    /// added there.
    pub fn compile(filters: &Filters, operator: Option<&str>, input: &FieldPath, problems: &mut Problems) -> Self {
        Self(compile::filters(filters, operator, input, problems))
    }

    pub fn evaluate(&self, event: &Event) -> Verdict {
        self.judge(&Subject::new(event))
    }

    /// As [`Filter::evaluate`], sharing what other filters have already read of the event.
    pub fn judge(&self, subject: &Subject<'_>) -> Verdict {
        self.0.judge(subject)
    }

    /// The verdict of every part with the value it saw, one a line; for people only.
    pub fn explain(&self, event: &Event, values: Values) -> String {
        let subject = Subject::new(event);
        let mut lines = Vec::new();
        self.0.explain(&subject, values, 0, &mut lines);
        lines.join("\n")
    }

    pub(crate) const fn expression(&self) -> &Expression {
        &self.0
    }

    /// Gives every path of this filter its place among `paths`, so that filters judged on one
    /// subject share what their paths find.
    pub(crate) fn share_paths(&mut self, paths: &mut Paths) {
        self.0.share_paths(paths);
    }
}

impl Expression {
    fn judge(&self, subject: &Subject<'_>) -> Verdict {
        match self {
            Self::All(parts) => fold(parts, subject, Verdict::No, Verdict::Yes),
            Self::Any(parts) => fold(parts, subject, Verdict::Yes, Verdict::No),
            Self::Not(part) => match part.judge(subject) {
                Verdict::Yes => Verdict::No,
                Verdict::No => Verdict::Yes,
                error @ Verdict::Error(_) => error,
            },
            Self::Attribute(test) => test.judge(subject),
            Self::Data(test) => test.judge(subject),
            Self::Time(span) => span.judge(subject),
            Self::Cesql(cesql) => cesql.judge(subject),
            Self::Expr(test) => test.judge(subject),
            Self::Script(test) => test.judge(subject),
            Self::Cel(cel) => cel.judge(subject),
        }
    }

    fn share_paths(&mut self, paths: &mut Paths) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter_mut().for_each(|part| part.share_paths(paths)),
            Self::Not(part) => part.share_paths(paths),
            Self::Data(test) => test.slot = Some(paths.slot(&test.path)),
            Self::Expr(test) => test.share_paths(paths),
            Self::Attribute(_) | Self::Time(_) | Self::Cesql(_) | Self::Script(_) | Self::Cel(_) => {}
        }
    }

    fn explain(&self, subject: &Subject<'_>, values: Values, depth: usize, lines: &mut Vec<String>) {
        let verdict = match self.judge(subject) {
            Verdict::Yes => "yes".to_owned(),
            Verdict::No => "no".to_owned(),
            Verdict::Error(cause) => format!("error {}", cause.as_str()),
        };
        let (text, parts): (String, &[Self]) = match self {
            Self::All(parts) if parts.is_empty() => ("no filter".to_owned(), parts),
            Self::All(parts) => ("all of".to_owned(), parts),
            Self::Any(parts) => ("any of".to_owned(), parts),
            Self::Not(part) => ("not".to_owned(), std::slice::from_ref(part)),
            Self::Attribute(test) => (test.explain(subject), &[]),
            Self::Data(test) => (test.explain(subject, values), &[]),
            Self::Time(span) => (span.explain(subject), &[]),
            Self::Cesql(cesql) => (cesql.explain(subject), &[]),
            Self::Expr(test) => (test.explain(subject, values), &[]),
            Self::Script(test) => (test.explain(subject, values), &[]),
            Self::Cel(cel) => (cel.explain(subject, values), &[]),
        };
        lines.push(format!("{}{verdict}: {text}", "  ".repeat(depth)));
        for part in parts {
            part.explain(subject, values, depth + 1, lines);
        }
    }
}

/// Kleene's `and` and `or`: the first part that says `decisive` decides; else an error remains;
/// else `otherwise`.
fn fold(parts: &[Expression], subject: &Subject<'_>, decisive: Verdict, otherwise: Verdict) -> Verdict {
    let mut verdict = otherwise;
    for part in parts {
        match part.judge(subject) {
            decided if decided == decisive => return decided,
            error @ Verdict::Error(_) if verdict == otherwise => verdict = error,
            _ => {}
        }
    }
    verdict
}

#[cfg(test)]
mod tests;
