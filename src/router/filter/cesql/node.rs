//! A compiled expression and its evaluation.
//!
//! Evaluation fails fast (`CloudEvents` SQL 1.0.0, 4.1): the first error ends it. A filter never
//! sees the value that stands beside an error, since an event with one does not pass (1.2).

use smallvec::SmallVec;

use super::super::Cause;
use super::function::Function;
use super::like::Pattern;
use super::value::{Type, Value};
use crate::event::Event;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(Value<'static>),
    Attribute(Box<str>),
    Exists(Box<str>),
    /// `AND`, with `any` `OR`: what is right of a part that decides is not evaluated.
    Logic {
        any: bool,
        parts: Vec<Node>,
    },
    /// `IN`: the elements are cast to the type of the value, in order, until one is equal.
    Within {
        negated: bool,
        value: Box<Node>,
        set: Vec<Node>,
    },
    /// Everything that evaluates all of its operands first.
    Apply(Operator, Vec<Node>),
}

#[derive(Clone, Debug)]
pub(super) enum Operator {
    Not,
    Negate,
    Xor,
    Equal { negated: bool },
    Order(Order),
    Arithmetic(Arithmetic),
    Like { negated: bool, pattern: Pattern },
    Call(Function),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// The operands of a function; hardly any call has more than these.
pub(super) type Operands<'v> = SmallVec<[Value<'v>; 3]>;

impl Node {
    /// # Errors
    /// The first error met.
    pub fn value<'v>(&'v self, event: &'v Event) -> Result<Value<'v>, Cause> {
        match self {
            Self::Constant(value) => Ok(value.borrowed()),
            Self::Attribute(name) => event.attribute(name).map(Value::of).ok_or(Cause::MissingAttribute),
            Self::Exists(name) => Ok(Value::Truth(event.attribute(name).is_some())),
            Self::Logic { any, parts } => {
                for part in parts {
                    if part.value(event)?.truth()? == *any {
                        return Ok(Value::Truth(*any));
                    }
                }
                Ok(Value::Truth(!any))
            }
            Self::Within { negated, value, set } => {
                let value = value.value(event)?;
                for element in set {
                    if is_element(&value, element.value(event)?)? {
                        return Ok(Value::Truth(!negated));
                    }
                }
                Ok(Value::Truth(*negated))
            }
            // Nearly every operator has one or two operands, which then stay in registers.
            Self::Apply(operator, operands) => match operands.as_slice() {
                [one] => operator.apply([one.value(event)?]),
                [left, right] => operator.apply([left.value(event)?, right.value(event)?]),
                more => {
                    let values: Result<Operands<'_>, Cause> = more.iter().map(|node| node.value(event)).collect();
                    operator.apply(values?)
                }
            },
        }
    }
}

/// Whether `element`, cast to the type of `value`, is `value` (3.4.5: the left side decides).
pub(super) fn is_element(value: &Value<'_>, element: Value<'_>) -> Result<bool, Cause> {
    element.equals(value)
}

impl Operator {
    pub const fn result(&self) -> Type {
        match self {
            Self::Negate | Self::Arithmetic(_) => Type::Integer,
            Self::Call(function) => function.result(),
            _ => Type::Truth,
        }
    }

    /// The type to which the operand at `index` is cast; none when another operand decides that.
    pub const fn parameter(&self, index: usize) -> Option<Type> {
        match self {
            Self::Not | Self::Xor => Some(Type::Truth),
            Self::Negate | Self::Order(_) | Self::Arithmetic(_) => Some(Type::Integer),
            Self::Like { .. } => Some(Type::Text),
            Self::Equal { .. } => None,
            Self::Call(function) => Some(function.parameter(index)),
        }
    }

    /// # Errors
    /// Casts of the operands, and what the operator itself cannot do with them.
    pub fn apply<'v>(&self, operands: impl IntoIterator<Item = Value<'v>>) -> Result<Value<'v>, Cause> {
        let mut operands = operands.into_iter();
        // The number of operands is given by the syntax.
        let mut next = || operands.next().unwrap_or(Value::Integer(0));
        Ok(match self {
            Self::Not => Value::Truth(!next().truth()?),
            Self::Negate => Value::Integer(next().integer()?.checked_neg().ok_or(Cause::Math)?),
            Self::Xor => Value::Truth(next().truth()? != next().truth()?),
            Self::Equal { negated } => {
                let (left, right) = (next(), next());
                Value::Truth(left.equals(&right)? != *negated)
            }
            Self::Order(order) => Value::Truth(order.holds(next().integer()?, next().integer()?)),
            Self::Arithmetic(arithmetic) => {
                Value::Integer(arithmetic.apply(next().integer()?, next().integer()?).ok_or(Cause::Math)?)
            }
            Self::Like { negated, pattern } => Value::Truth(pattern.matches(&next().into_text()) != *negated),
            Self::Call(function) => function.call(operands)?,
        })
    }
}

impl Order {
    const fn holds(self, left: i32, right: i32) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Arithmetic {
    /// Nothing when the result is no 32 bit integer, or there is none. The specification leaves
    /// overflow open; wrapping around would silently take wrong events.
    const fn apply(self, left: i32, right: i32) -> Option<i32> {
        match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::Multiply => left.checked_mul(right),
            Self::Divide => left.checked_div(right),
            // The remainder by -1 is 0, also of the smallest integer, which overflows on the way.
            Self::Remainder if right == -1 => Some(0),
            Self::Remainder => left.checked_rem(right),
        }
    }
}
