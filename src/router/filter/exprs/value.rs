//! The values of an expression: JSON values, with all numbers as 64 bit floats.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::Cause;
use super::super::json::{self, Kind};

#[derive(Clone, Debug)]
pub(super) enum Value<'v> {
    Null,
    Truth(bool),
    Number(f64),
    Text(Cow<'v, str>),
    /// An array or object, as it is written.
    Container(Cow<'v, str>),
}

/// The types that an expression is known to have before there is an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Truth,
    Number,
    Text,
}

impl Type {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
        }
    }
}

impl<'v> Value<'v> {
    /// The value of a raw token. Text that looks like a date stays text (govaluate makes it a time
    /// in the expression, which then equals no field).
    pub fn of(raw: &'v str) -> Self {
        match Kind::of(raw) {
            Kind::Missing | Kind::Null => Self::Null,
            Kind::True => Self::Truth(true),
            Kind::False => Self::Truth(false),
            Kind::Number => Self::Number(raw.parse().unwrap_or(f64::NAN)),
            Kind::Text => Self::Text(json::text(raw)),
            Kind::Container => Self::Container(Cow::Borrowed(raw)),
        }
    }

    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Truth(truth) => Value::Truth(*truth),
            Self::Number(number) => Value::Number(*number),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Container(raw) => Value::Container(Cow::Borrowed(raw)),
        }
    }

    /// # Errors
    /// [`Cause::WrongType`]: nothing is cast.
    pub const fn truth(&self) -> Result<bool, Cause> {
        if let Self::Truth(truth) = self { Ok(*truth) } else { Err(Cause::WrongType) }
    }

    /// # Errors
    /// As [`Value::truth`].
    pub const fn number(&self) -> Result<f64, Cause> {
        if let Self::Number(number) = self { Ok(*number) } else { Err(Cause::WrongType) }
    }

    /// # Errors
    /// As [`Value::truth`].
    pub fn text(&self) -> Result<&str, Cause> {
        if let Self::Text(text) = self { Ok(text) } else { Err(Cause::WrongType) }
    }

    /// The elements, when it is an array.
    ///
    /// # Errors
    /// As [`Value::truth`].
    pub fn elements(&self) -> Result<impl Iterator<Item = Value<'_>>, Cause> {
        match self {
            Self::Container(raw) if is_array(raw) => Ok(json::elements(raw).map(Value::of)),
            _ => Err(Cause::WrongType),
        }
    }

    /// Values of different types are never equal; containers are by what is in them.
    #[expect(clippy::float_cmp, reason = "equality of numbers is what was asked for")]
    pub fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Truth(one), Value::Truth(other)) => one == other,
            (Self::Number(one), Value::Number(other)) => one == other,
            (Self::Text(one), Value::Text(other)) => one == other,
            (Self::Container(one), Value::Container(other)) => containers_equal(one, other),
            _ => false,
        }
    }

    /// The order of two numbers or of two texts (by their bytes); no order when one is NaN.
    ///
    /// # Errors
    /// [`Cause::WrongType`] for everything else.
    pub fn order(&self, other: &Value<'_>) -> Result<Option<Ordering>, Cause> {
        match (self, other) {
            (Self::Number(one), Value::Number(other)) => Ok(one.partial_cmp(other)),
            (Self::Text(one), Value::Text(other)) => Ok(Some((**one).cmp(&**other))),
            _ => Err(Cause::WrongType),
        }
    }

    /// The sum of two numbers; a text with a text, number or truth is one text.
    ///
    /// # Errors
    /// [`Cause::WrongType`] for everything else.
    pub fn plus(&self, other: &Value<'_>) -> Result<Value<'static>, Cause> {
        match (self, other) {
            (Self::Number(one), Value::Number(other)) => Ok(Value::Number(one + other)),
            (Self::Text(_), _) | (_, Value::Text(_)) => {
                let joined = [self.shown()?, other.shown()?].concat();
                Ok(Value::Text(joined.into()))
            }
            _ => Err(Cause::WrongType),
        }
    }

    fn shown(&self) -> Result<Cow<'_, str>, Cause> {
        match self {
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            Self::Truth(truth) => Ok(Cow::Borrowed(if *truth { "true" } else { "false" })),
            Self::Number(number) => Ok(Cow::Owned(number_text(*number))),
            Self::Null | Self::Container(_) => Err(Cause::WrongType),
        }
    }
}

fn is_array(raw: &str) -> bool {
    raw.starts_with('[')
}

/// The recursion is bounded by how deep a payload may be nested.
fn containers_equal(one: &str, other: &str) -> bool {
    if is_array(one) != is_array(other) {
        return false;
    }
    if is_array(one) {
        let (mut ones, mut others) = (json::elements(one), json::elements(other));
        return loop {
            match (ones.next(), others.next()) {
                (None, None) => break true,
                (Some(one), Some(other)) if Value::of(one).equals(&Value::of(other)) => {}
                _ => break false,
            }
        };
    }
    let (ones, others) = (members(one), members(other));
    ones.len() == others.len()
        && ones.iter().all(|(key, one)| others.get(key).is_some_and(|other| Value::of(one).equals(&Value::of(other))))
}

fn members(raw: &str) -> BTreeMap<Cow<'_, str>, &str> {
    json::members(raw).map(|(key, value)| (json::text(key), value)).collect()
}

/// A number as Go prints it: the shortest digits, with an exponent below 1e-4 and from 1e21 on.
fn number_text(number: f64) -> String {
    let size = number.abs();
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if number.is_nan() || size == 0.0 || (1e-4..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}
