//! A compiled expression and its evaluation.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::Cause;
use super::super::pattern::Pattern;
use super::value::{Type, Value};

#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(Value<'static>),
    /// The value of the field with this place.
    Field(usize),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<(Node, Node)>),
    /// `&&`, with `any` `||`: what is right of a part that decides is not evaluated.
    Logic {
        any: bool,
        parts: Vec<Node>,
    },
    /// `a ? b : c`; null when it is not `a`, and there is no `c`.
    Choice(Box<(Node, Node, Option<Node>)>),
    /// `a ?? b`: `b` when `a` is null.
    Fallback(Box<(Node, Node)>),
    /// `=~`, and `!~` when it is negated.
    Matches {
        negated: bool,
        text: Box<Node>,
        pattern: Pattern,
    },
    /// `in` with a list that is written out.
    Within {
        value: Box<Node>,
        list: Vec<Node>,
    },
    /// `in` with a field that holds an array.
    WithinArray(Box<(Node, Node)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Negate,
    /// `~`, on the whole number.
    Complement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

impl Node {
    /// The value over the raw tokens of the fields.
    ///
    /// # Errors
    /// [`Cause::WrongType`] when an operator meets a value that it does not take.
    pub fn value<'v>(&'v self, fields: &'v [Cow<'v, str>]) -> Result<Value<'v>, Cause> {
        Ok(match self {
            Self::Constant(value) => value.borrowed(),
            Self::Field(place) => fields.get(*place).map_or(Value::Null, |raw| Value::of(raw)),
            Self::Unary(unary, operand) => unary.apply(&operand.value(fields)?)?,
            Self::Binary(binary, operands) => binary.apply(&operands.0.value(fields)?, &operands.1.value(fields)?)?,
            Self::Logic { any, parts } => {
                for part in parts {
                    if part.value(fields)?.truth()? == *any {
                        return Ok(Value::Truth(*any));
                    }
                }
                Value::Truth(!any)
            }
            Self::Choice(parts) => match (parts.0.value(fields)?.truth()?, &parts.2) {
                (true, _) => parts.1.value(fields)?,
                (false, Some(other)) => other.value(fields)?,
                (false, None) => Value::Null,
            },
            Self::Fallback(parts) => match parts.0.value(fields)? {
                Value::Null => parts.1.value(fields)?,
                value => value,
            },
            Self::Matches { negated, text, pattern } => {
                Value::Truth(pattern.matches(text.value(fields)?.text()?) != *negated)
            }
            Self::Within { value, list } => {
                let value = value.value(fields)?;
                for element in list {
                    let element = element.value(fields)?;
                    // One value in brackets may be the list itself, as for govaluate.
                    let within = list.len() == 1 && is_element(&value, &element) == Ok(true);
                    if within || element.equals(&value) {
                        return Ok(Value::Truth(true));
                    }
                }
                Value::Truth(false)
            }
            Self::WithinArray(parts) => Value::Truth(is_element(&parts.0.value(fields)?, &parts.1.value(fields)?)?),
        })
    }
}

fn is_element(value: &Value<'_>, array: &Value<'_>) -> Result<bool, Cause> {
    Ok(array.elements()?.any(|element| element.equals(value)))
}

impl Unary {
    pub const fn operand(self) -> Type {
        if matches!(self, Self::Not) { Type::Truth } else { Type::Number }
    }

    fn apply(self, value: &Value<'_>) -> Result<Value<'static>, Cause> {
        Ok(match self {
            Self::Not => Value::Truth(!value.truth()?),
            Self::Negate => Value::Number(-value.number()?),
            Self::Complement => Value::Number(float(!whole(value.number()?))),
        })
    }
}

impl Binary {
    pub const fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }

    pub const fn is_order(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual)
    }

    fn apply(self, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'static>, Cause> {
        let ordered = |wanted: fn(Ordering) -> bool| Ok(Value::Truth(left.order(right)?.is_some_and(wanted)));
        match self {
            Self::Equal => Ok(Value::Truth(left.equals(right))),
            Self::NotEqual => Ok(Value::Truth(!left.equals(right))),
            Self::Less => ordered(Ordering::is_lt),
            Self::LessOrEqual => ordered(Ordering::is_le),
            Self::Greater => ordered(Ordering::is_gt),
            Self::GreaterOrEqual => ordered(Ordering::is_ge),
            Self::Add => left.plus(right),
            _ => Ok(Value::Number(self.reckon(left.number()?, right.number()?))),
        }
    }

    /// With numbers; bits are those of whole numbers, fractions go.
    fn reckon(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
            Self::Power => left.powf(right),
            Self::And => float(whole(left) & whole(right)),
            Self::Or => float(whole(left) | whole(right)),
            Self::Xor => float(whole(left) ^ whole(right)),
            Self::ShiftLeft => shifted(left, right, u64::checked_shl),
            Self::ShiftRight => shifted(left, right, u64::checked_shr),
            _ => f64::NAN,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a fraction goes, as in Go; what is out of range saturates")]
const fn whole(number: f64) -> i64 {
    number as i64
}

#[expect(clippy::cast_precision_loss, reason = "all numbers of the language are 64 bit floats")]
const fn float(number: i64) -> f64 {
    number as f64
}

/// A shift of 64 bits without a sign; by 64 or more, nothing is left.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the conversions of Go: a negative number is its two's complement"
)]
fn shifted(left: f64, right: f64, shift: fn(u64, u32) -> Option<u64>) -> f64 {
    let unsigned = |number: f64| if number < 0.0 { number as i64 as u64 } else { number as u64 };
    let by = u32::try_from(unsigned(right)).ok();
    by.and_then(|by| shift(unsigned(left), by)).unwrap_or(0) as f64
}
