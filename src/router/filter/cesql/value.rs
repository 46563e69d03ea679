//! The values of an expression, and their casts (`CloudEvents` SQL 1.0.0, 3.1 and 3.7).

use std::borrow::Cow;

use super::super::Cause;
use crate::event;

/// A value of one of the three types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'v> {
    Text(Cow<'v, str>),
    Integer(i32),
    Truth(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Integer,
    Truth,
}

impl Type {
    /// For people: "this is ...".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "an integer",
            Self::Truth => "true or false",
        }
    }

    /// What stands in for a value that was refused, while more problems are looked for.
    pub const fn zero(self) -> Value<'static> {
        match self {
            Self::Text => Value::Text(Cow::Borrowed("")),
            Self::Integer => Value::Integer(0),
            Self::Truth => Value::Truth(false),
        }
    }
}

impl<'v> Value<'v> {
    pub const fn ty(&self) -> Type {
        match self {
            Self::Text(_) => Type::Text,
            Self::Integer(_) => Type::Integer,
            Self::Truth(_) => Type::Truth,
        }
    }

    /// The value of an attribute. Binary is base64; URIs and times are text as they were sent.
    pub fn of(value: event::Value<'v>) -> Self {
        match value {
            event::Value::Boolean(truth) => Self::Truth(truth),
            event::Value::Integer(number) => Self::Integer(number),
            other => Self::Text(other.into_text()),
        }
    }

    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Integer(number) => Value::Integer(*number),
            Self::Truth(truth) => Value::Truth(*truth),
        }
    }

    /// Cannot fail: everything has a text.
    pub fn into_text(self) -> Cow<'v, str> {
        match self {
            Self::Text(text) => text,
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Truth(true) => Cow::Borrowed("true"),
            Self::Truth(false) => Cow::Borrowed("false"),
        }
    }

    /// # Errors
    /// [`Cause::Cast`] when it is text that is no 32 bit integer: a sign at most, and digits.
    pub fn integer(&self) -> Result<i32, Cause> {
        match self {
            Self::Text(text) => text.parse().map_err(|_| Cause::Cast),
            Self::Integer(number) => Ok(*number),
            Self::Truth(truth) => Ok(i32::from(*truth)),
        }
    }

    /// # Errors
    /// [`Cause::Cast`] when it is text other than `true` and `false`, in any case.
    pub fn truth(&self) -> Result<bool, Cause> {
        match self {
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Self::Text(_) => Err(Cause::Cast),
            Self::Integer(number) => Ok(*number != 0),
            Self::Truth(truth) => Ok(*truth),
        }
    }

    /// # Errors
    /// As those of the cast to `ty`.
    pub fn cast(self, ty: Type) -> Result<Self, Cause> {
        Ok(match ty {
            Type::Text => Self::Text(self.into_text()),
            Type::Integer => Self::Integer(self.integer()?),
            Type::Truth => Self::Truth(self.truth()?),
        })
    }

    /// Whether this, cast to the type of `right`, is `right` (3.7: the right side decides).
    ///
    /// # Errors
    /// As those of that cast.
    pub fn equals(self, right: &Value<'_>) -> Result<bool, Cause> {
        Ok(match right {
            Value::Text(right) => self.into_text() == *right,
            Value::Integer(right) => self.integer()? == *right,
            Value::Truth(right) => self.truth()? == *right,
        })
    }
}
