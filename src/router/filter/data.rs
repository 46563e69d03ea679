//! Tests of one value inside the payload.

use super::json;
use super::path::{Found, Path};
use super::pattern::Pattern;
use super::template::{Input, Template};
use super::{Cause, Payload, Subject, Values, Verdict};

/// The longest value shown when a decision is explained, in characters.
const SHOWN: usize = 80;

/// A path and what is wanted of its value.
#[derive(Clone, Debug)]
pub struct DataTest {
    pub path: Path,
    pub wanted: Wanted,
    /// Where filters that are matched together keep what this path finds.
    pub(super) slot: Option<usize>,
    /// Makes the text that is judged of the value.
    pub(super) template: Option<Template>,
    /// What was written after the path, for people.
    pub(super) written: String,
}

/// Several values mean one of them, and with `!=` none of them.
#[derive(Clone, Debug)]
pub enum Wanted {
    Text { patterns: Vec<Pattern>, negated: bool },
    Number { comparator: Comparator, values: Vec<f64> },
    Truth { of_true: bool, of_false: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparator {
    pub(super) const KNOWN: &[&str] = &["=", "!=", ">", ">=", "<", "<="];

    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            _ => return None,
        })
    }

    /// Exactly, without a tolerance (IEEE 754).
    #[expect(clippy::float_cmp, reason = "equality of numbers is what was asked for")]
    fn holds(self, value: f64, wanted: f64) -> bool {
        match self {
            Self::Equal => value == wanted,
            Self::NotEqual => value != wanted,
            Self::Greater => value > wanted,
            Self::GreaterOrEqual => value >= wanted,
            Self::Less => value < wanted,
            Self::LessOrEqual => value <= wanted,
        }
    }
}

impl DataTest {
    /// The place of the path among those of filters matched together.
    pub(crate) const fn slot(&self) -> Option<usize> {
        self.slot
    }

    /// Whether what is judged is the value that the path finds.
    pub(crate) const fn is_plain(&self) -> bool {
        self.template.is_none()
    }

    pub(super) fn judge(&self, subject: &Subject<'_>) -> Verdict {
        match subject.payload() {
            Payload::Absent => Verdict::Yes,
            Payload::Unusable(cause) => Verdict::Error(cause),
            Payload::Json(text) => match self.slot.and_then(|slot| subject.slot(slot)) {
                Some(cell) => self.verdict(cell.get_or_init(|| self.path.find(text))),
                None => self.verdict(&self.path.find(text)),
            },
        }
    }

    fn verdict(&self, found: &Found<'_>) -> Verdict {
        match found {
            Found::Value(raw) => match &self.template {
                None => self.wanted.judge(raw),
                Some(template) => match template.render(Input::Text(&json::text(raw))) {
                    Ok(text) => self.wanted.judge(&json::quote(&text)),
                    Err(halt) => Verdict::Error(halt.cause()),
                },
            },
            Found::Missing => Verdict::Error(Cause::MissingValue),
            Found::TooCostly => Verdict::Error(Cause::TooCostly),
        }
    }

    pub(super) fn explain(&self, subject: &Subject<'_>, values: Values) -> String {
        let show = values.shower();
        let seen = match subject.payload() {
            Payload::Absent => "nothing to look at: the event has no data".to_owned(),
            Payload::Unusable(_) => "nothing to look at: the data is no JSON that can be read".to_owned(),
            Payload::Json(text) => match self.path.find(text) {
                Found::Value(raw) => format!("data {} is {}", self.path.as_str(), show(&raw)),
                Found::Missing => format!("data {} is missing", self.path.as_str()),
                Found::TooCostly => format!("data {} costs too much to read", self.path.as_str()),
            },
        };
        format!("{seen}, wanted {}", self.written)
    }
}

impl Wanted {
    /// The verdict on a raw token.
    pub(super) fn judge(&self, raw: &str) -> Verdict {
        let passes = match self {
            Self::Text { patterns, negated } => {
                let text = json::text(raw);
                patterns.iter().any(|pattern| pattern.matches(&text)) != *negated
            }
            Self::Number { comparator, values } => {
                let Some(number) = json::number(raw) else {
                    return Verdict::Error(Cause::NotNumber);
                };
                match comparator {
                    Comparator::NotEqual => values.iter().all(|value| comparator.holds(number, *value)),
                    _ => values.iter().any(|value| comparator.holds(number, *value)),
                }
            }
            Self::Truth { of_true, of_false } => match json::truth(raw) {
                Some(truth) => {
                    if truth {
                        *of_true
                    } else {
                        *of_false
                    }
                }
                None => return Verdict::Error(Cause::NotBool),
            },
        };
        if passes { Verdict::Yes } else { Verdict::No }
    }
}

/// `raw`, cut to what fits a line.
pub(super) fn shortened(raw: &str) -> String {
    match raw.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}...", &raw[..cut]),
        None => raw.to_owned(),
    }
}

impl Values {
    /// What shows a raw token of the data.
    pub(super) fn shower(self) -> fn(&str) -> String {
        match self {
            Self::Shown => shortened,
            Self::Redacted => redacted,
        }
    }
}

/// What a raw token is, and how long; nothing else of it.
fn redacted(raw: &str) -> String {
    let kind = match raw.as_bytes().first() {
        Some(b'"') => "text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        // Their length would tell which it is.
        Some(b't' | b'f') => return "true or false".to_owned(),
        Some(b'n') => return "null".to_owned(),
        _ => "a number",
    };
    format!("{kind} of {} bytes", raw.len())
}
