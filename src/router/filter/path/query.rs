//! Queries: `#(path op value)`, the test of one element of an array.

use super::NodeId;
use super::glob::Glob;
use crate::router::filter::json::{self, Kind};

#[derive(Clone, Debug)]
pub(super) struct Query {
    /// The value tested inside an element; nothing when the path is empty, so that an element
    /// that is no container is tested itself.
    pub path: Option<NodeId>,
    /// The same as a node for elements that are containers.
    pub inner: NodeId,
    pub test: Test,
    /// `#(..)#`: every element that fits, not the first.
    pub all: bool,
    /// After a dot: what is taken from an element that fits.
    pub take: Option<NodeId>,
    /// The pipe inside the taken part: it runs once an element fits.
    pub take_pipe: Option<NodeId>,
    /// The pipe right after the query: it runs always.
    pub pipe: Option<NodeId>,
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    /// No operator: the value exists.
    Exists,
    Compare(Op, Operand),
    /// `~true` and its like.
    Ish(Op, Ish),
    /// An operator or a `~word` that nothing fits.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
}

impl Op {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "%" => Self::Like,
            "!%" => Self::NotLike,
            _ => return None,
        })
    }

    fn compare<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Like | Self::NotLike => false,
        }
    }
}

/// The right side, in every form in which it is compared.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    text: Box<str>,
    /// As gjson reads it: 0 when the text is no number.
    number: f64,
    glob: Glob,
}

impl Operand {
    pub fn new(text: &str) -> Self {
        let number = json::number_of_text(text).unwrap_or(0.0);
        Self { text: text.into(), number, glob: Glob::parse(text) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ish {
    Exists,
    Null,
    True,
    False,
}

impl Ish {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "*" => Self::Exists,
            "null" => Self::Null,
            "true" => Self::True,
            "false" => Self::False,
            _ => return None,
        })
    }

    fn holds(self, raw: &str) -> bool {
        let kind = Kind::of(raw);
        match self {
            Self::Exists => kind != Kind::Missing,
            Self::Null => matches!(kind, Kind::Missing | Kind::Null),
            Self::True => json::truth(raw) == Some(true),
            Self::False => matches!(kind, Kind::Missing | Kind::Null) || json::truth(raw) == Some(false),
        }
    }
}

impl Test {
    /// Whether a raw token passes; a missing one is empty.
    pub fn passes(&self, raw: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Exists => !raw.is_empty(),
            Self::Ish(op, ish) => compare_truth(*op, ish.holds(raw), "true"),
            Self::Compare(op, operand) => match Kind::of(raw) {
                Kind::Missing | Kind::Null | Kind::Container => false,
                Kind::True => compare_truth(*op, true, &operand.text),
                Kind::False => compare_truth(*op, false, &operand.text),
                Kind::Number => raw.parse::<f64>().is_ok_and(|number| op.compare(&number, &operand.number)),
                Kind::Text => {
                    let text = json::text(raw);
                    match op {
                        Op::Like => operand.glob.matches(&text),
                        Op::NotLike => !operand.glob.matches(&text),
                        _ => op.compare(text.as_ref(), &*operand.text),
                    }
                }
            },
        }
    }
}

/// Truths against words: true is greater than `false`, and at least anything.
fn compare_truth(op: Op, truth: bool, word: &str) -> bool {
    let (own, other) = if truth { ("true", "false") } else { ("false", "true") };
    match op {
        Op::Equal => word == own,
        Op::NotEqual => word != own,
        Op::Greater => truth && word == other,
        Op::Less => !truth && word == other,
        Op::GreaterOrEqual => truth,
        Op::LessOrEqual => !truth,
        Op::Like | Op::NotLike => false,
    }
}
