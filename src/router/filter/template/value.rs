//! The values that templates work with, and the meter of a run.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::rc::Rc;

use super::super::json::{self, Kind};
use super::{Halt, MAX_DEPTH, MAX_STEPS, NO_VALUE};

/// What a value of a list costs.
const PER_VALUE: usize = 16;
/// Bytes that are searched, copied or compared in one step.
const SEARCHED: usize = 64;

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// Not there, or null.
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// A number or container as the JSON has it.
    Raw(Cow<'a, str>),
    /// With how deep it is nested.
    List(Rc<Vec<Value<'a>>>, usize),
    /// By key, ascending.
    Map(Rc<Vec<(String, Value<'a>)>>, usize),
}

/// What a run has used.
#[derive(Debug, Default)]
pub(super) struct Meter(Cell<usize>);

impl Meter {
    pub fn charge(&self, steps: usize) -> Result<(), Halt> {
        self.0.set(self.0.get().saturating_add(steps));
        if self.0.get() > MAX_STEPS { Err(Halt::TooCostly) } else { Ok(()) }
    }

    pub fn values(&self, count: usize) -> Result<(), Halt> {
        self.charge(count.saturating_mul(PER_VALUE))
    }

    fn searches(&self, json: &str) -> Result<(), Halt> {
        self.charge(1 + json.len() / SEARCHED)
    }

    /// A text that a function made.
    pub fn text<'a>(&self, text: impl Into<Cow<'a, str>>) -> Result<Value<'a>, Halt> {
        let text = text.into();
        self.charge(text.len())?;
        Ok(Value::Text(text))
    }
}

/// A number of either kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "Go's conversion does the same")]
    pub fn float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// Towards zero.
    #[expect(clippy::cast_possible_truncation, reason = "the range is looked at")]
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Float(number) => (number.abs() < 9.2e18).then_some(number as i64),
        }
    }

    fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.parse() {
            Ok(number) => Some(Self::Int(number)),
            Err(_) => json::number_of_text(text).filter(|number| number.is_finite()).map(Self::Float),
        }
    }
}

impl<'a> Value<'a> {
    /// A token of checked JSON.
    pub fn of_json(raw: Cow<'a, str>) -> Self {
        match Kind::of(&raw) {
            Kind::Missing | Kind::Null => Self::None,
            Kind::True => Self::Bool(true),
            Kind::False => Self::Bool(false),
            Kind::Text => Self::Text(match raw {
                Cow::Borrowed(raw) => json::text(raw),
                Cow::Owned(raw) => Cow::Owned(json::text(&raw).into_owned()),
            }),
            Kind::Number | Kind::Container => Self::Raw(raw),
        }
    }

    pub fn list(values: Vec<Self>) -> Result<Self, Halt> {
        let depth = nested(values.iter())?;
        Ok(Self::List(Rc::new(values), depth))
    }

    pub fn map(mut members: Vec<(String, Self)>) -> Result<Self, Halt> {
        members.sort_by(|one, other| one.0.cmp(&other.0));
        let depth = nested(members.iter().map(|(_, value)| value))?;
        Ok(Self::Map(Rc::new(members), depth))
    }

    pub fn is_map(&self) -> bool {
        matches!(self, Self::Map(..)) || matches!(self, Self::Raw(raw) if raw.starts_with('{'))
    }

    pub fn is_list(&self) -> bool {
        matches!(self, Self::List(..)) || matches!(self, Self::Raw(raw) if raw.starts_with('['))
    }

    /// What it costs to copy or compare it.
    pub fn weight(&self) -> usize {
        if let Self::Text(text) | Self::Raw(text) = self { text.len() / SEARCHED } else { 0 }
    }

    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::Bool(_) => "a truth",
            Self::Text(_) => "a text",
            _ if self.is_map() => "an object",
            _ if self.is_list() => "a list",
            _ => "a number",
        }
    }

    /// As a number, when it is one.
    pub fn number(&self) -> Option<Number> {
        match self {
            Self::Int(number) => Some(Number::Int(*number)),
            Self::Float(number) => Some(Number::Float(*number)),
            Self::Raw(raw) if Kind::of(raw) == Kind::Number => Number::of_text(&json::text(raw)),
            _ => None,
        }
    }

    /// As a number, also when it is the text of one.
    pub fn cast(&self) -> Option<Number> {
        match self {
            Self::Text(text) => Number::of_text(text),
            Self::Bool(truth) => Some(Number::Int(i64::from(*truth))),
            other => other.number(),
        }
    }

    /// What is printed of it.
    pub fn show(&self, meter: &Meter) -> Result<Cow<'_, str>, Halt> {
        Ok(match self {
            Self::None => Cow::Borrowed(NO_VALUE),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Raw(raw) => json::text(raw),
            other => Cow::Owned(other.json(meter)?),
        })
    }

    /// As JSON.
    pub fn json(&self, meter: &Meter) -> Result<String, Halt> {
        let text = match self {
            Self::None => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => json::text(&number.to_string()).into_owned(),
            Self::Text(text) => json::quote(text),
            Self::Raw(raw) => raw.clone().into_owned(),
            Self::List(values, _) => {
                let values: Result<Vec<String>, Halt> = values.iter().map(|value| value.json(meter)).collect();
                format!("[{}]", values?.join(","))
            }
            Self::Map(members, _) => {
                let member = |(key, value): &(String, Self)| Ok(format!("{}:{}", json::quote(key), value.json(meter)?));
                let members: Result<Vec<String>, Halt> = members.iter().map(member).collect();
                format!("{{{}}}", members?.join(","))
            }
        };
        meter.charge(text.len())?;
        Ok(text)
    }

    /// Go's truth: neither false, nor zero, nor empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Text(text) => !text.is_empty(),
            Self::List(values, _) => !values.is_empty(),
            Self::Map(members, _) => !members.is_empty(),
            Self::Raw(raw) if Kind::of(raw) == Kind::Container => {
                json::elements(raw).next().is_some() || json::members(raw).next().is_some()
            }
            Self::Int(_) | Self::Float(_) | Self::Raw(_) => {
                self.number().is_none_or(|number| number.float().abs() > 0.0)
            }
        }
    }

    /// The member `key`; nothing when it is not there.
    pub fn member(&self, key: &str, meter: &Meter) -> Result<Self, Halt> {
        match self {
            Self::Map(members, _) => {
                let found = members.binary_search_by(|(known, _)| known.as_str().cmp(key));
                Ok(found.map_or(Self::None, |at| members[at].1.clone()))
            }
            Self::Raw(raw) if raw.starts_with('{') => {
                meter.searches(raw)?;
                Ok(match raw {
                    Cow::Borrowed(raw) => member(raw, key).map_or(Self::None, |raw| Self::of_json(Cow::Borrowed(raw))),
                    Cow::Owned(raw) => {
                        member(raw, key).map_or(Self::None, |raw| Self::of_json(Cow::Owned(raw.to_owned())))
                    }
                })
            }
            other => Err(Halt::Failed(format!("{} has no key {key:?}", other.kind()))),
        }
    }

    /// The elements of a list; nothing when it is none.
    pub fn elements(&self, meter: &Meter) -> Result<Option<Vec<Self>>, Halt> {
        let values = match self {
            Self::List(values, _) => values.as_ref().clone(),
            Self::Raw(raw) if raw.starts_with('[') => {
                meter.searches(raw)?;
                match raw {
                    Cow::Borrowed(raw) => json::elements(raw).map(|raw| Self::of_json(Cow::Borrowed(raw))).collect(),
                    Cow::Owned(raw) => {
                        meter.charge(raw.len())?;
                        json::elements(raw).map(|raw| Self::of_json(Cow::Owned(raw.to_owned()))).collect()
                    }
                }
            }
            _ => return Ok(None),
        };
        meter.values(values.len())?;
        meter.charge(values.iter().map(Value::weight).sum())?;
        Ok(Some(values))
    }

    /// The members of an object, by key, ascending; nothing when it is none.
    pub fn members(&self, meter: &Meter) -> Result<Option<Vec<(String, Self)>>, Halt> {
        let mut members: Vec<(String, Self)> = match self {
            Self::Map(members, _) => members.as_ref().clone(),
            Self::Raw(raw) if raw.starts_with('{') => {
                meter.searches(raw)?;
                let owned = |(key, value): (&str, &str)| {
                    (json::text(key).into_owned(), Self::of_json(Cow::Owned(value.to_owned())))
                };
                match raw {
                    Cow::Borrowed(raw) => json::members(raw)
                        .map(|(key, value)| (json::text(key).into_owned(), Self::of_json(Cow::Borrowed(value))))
                        .collect(),
                    Cow::Owned(raw) => {
                        meter.charge(raw.len())?;
                        json::members(raw).map(owned).collect()
                    }
                }
            }
            _ => return Ok(None),
        };
        meter.values(members.len())?;
        meter.charge(members.iter().map(|(key, value)| key.len() / SEARCHED + value.weight()).sum())?;
        members.sort_by(|one, other| one.0.cmp(&other.0));
        members.dedup_by(|later, first| later.0 == first.0);
        Ok(Some(members))
    }

    /// How they compare; nothing when they are of different kinds, or have no order.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(two)) => Some(one.cmp(two)),
            (Self::Bool(one), Self::Bool(two)) => Some(one.cmp(two)),
            (Self::None, Self::None) => Some(Ordering::Equal),
            _ => match (self.number()?, other.number()?) {
                (Number::Int(one), Number::Int(two)) => Some(one.cmp(&two)),
                (one, two) => one.float().partial_cmp(&two.float()),
            },
        }
    }
}

/// How deep a container of these is nested.
fn nested<'v, 'a: 'v>(values: impl Iterator<Item = &'v Value<'a>>) -> Result<usize, Halt> {
    let depth = |value: &Value<'_>| if let Value::List(_, depth) | Value::Map(_, depth) = value { *depth } else { 0 };
    let deepest = 1 + values.map(depth).max().unwrap_or(0);
    if deepest > MAX_DEPTH { Err(Halt::Failed("lists are nested too deep".to_owned())) } else { Ok(deepest) }
}

/// The first member of that key, as a token.
fn member<'j>(raw: &'j str, key: &str) -> Option<&'j str> {
    json::members(raw).find(|(known, _)| json::text(known) == key).map(|(_, value)| value)
}
