//! The functions of the language (`CloudEvents` SQL 1.0.0, 3.5). Characters are Unicode scalar
//! values, never bytes.

use std::borrow::Cow;

use super::super::Cause;
use super::value::{Type, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Bool,
    Concat,
    ConcatWs,
    Int,
    Left,
    Length,
    Lower,
    Right,
    String,
    Substring,
    Trim,
    Upper,
}

/// The smallest and the largest number of arguments; no largest means any number.
type Arity = (usize, Option<usize>);

/// By name, in upper case.
const FUNCTIONS: &[(&str, Function, Arity)] = &[
    ("ABS", Function::Abs, (1, Some(1))),
    ("BOOL", Function::Bool, (1, Some(1))),
    ("CONCAT", Function::Concat, (0, None)),
    ("CONCAT_WS", Function::ConcatWs, (1, None)),
    ("INT", Function::Int, (1, Some(1))),
    ("LEFT", Function::Left, (2, Some(2))),
    ("LENGTH", Function::Length, (1, Some(1))),
    ("LOWER", Function::Lower, (1, Some(1))),
    ("RIGHT", Function::Right, (2, Some(2))),
    ("STRING", Function::String, (1, Some(1))),
    ("SUBSTRING", Function::Substring, (2, Some(3))),
    ("TRIM", Function::Trim, (1, Some(1))),
    ("UPPER", Function::Upper, (1, Some(1))),
];

impl Function {
    /// The function with this name, in any case, and how many arguments it takes.
    pub fn find(name: &str) -> Option<(Self, Arity)> {
        let found = FUNCTIONS.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, function, arity)| (*function, *arity))
    }

    pub fn names() -> Vec<&'static str> {
        FUNCTIONS.iter().map(|(name, _, _)| *name).collect()
    }

    pub const fn result(self) -> Type {
        match self {
            Self::Abs | Self::Int | Self::Length => Type::Integer,
            Self::Bool => Type::Truth,
            _ => Type::Text,
        }
    }

    /// The type to which the argument at `index` is cast.
    pub const fn parameter(self, index: usize) -> Type {
        match (self, index) {
            (Self::Abs | Self::Int, _) | (Self::Left | Self::Right | Self::Substring, 1..) => Type::Integer,
            (Self::Bool, _) => Type::Truth,
            _ => Type::Text,
        }
    }

    /// # Errors
    /// Casts, [`Cause::Math`] and [`Cause::Function`], as the specification says for each.
    pub fn call<'v>(self, mut arguments: impl Iterator<Item = Value<'v>>) -> Result<Value<'v>, Cause> {
        // The number of arguments was checked when the expression was compiled.
        let mut next = || arguments.next().unwrap_or(Value::Integer(0));
        Ok(match self {
            Self::Abs => Value::Integer(next().integer()?.checked_abs().ok_or(Cause::Math)?),
            Self::Int => Value::Integer(next().integer()?),
            Self::Bool => Value::Truth(next().truth()?),
            Self::Length => Value::Integer(length(&next().into_text())?),
            Self::String => Value::Text(next().into_text()),
            Self::Lower => Value::Text(next().into_text().to_lowercase().into()),
            Self::Upper => Value::Text(next().into_text().to_uppercase().into()),
            Self::Trim => Value::Text(cut(next().into_text(), |text| Ok(text.trim()))?),
            Self::Concat => Value::Text(arguments.map(Value::into_text).collect::<String>().into()),
            Self::ConcatWs => {
                let delimiter = next().into_text();
                let texts: Vec<_> = arguments.map(Value::into_text).collect();
                Value::Text(texts.join(&*delimiter).into())
            }
            Self::Left => {
                let (text, count) = (next(), next().integer()?);
                Value::Text(cut(text.into_text(), |text| Ok(&text[..position(text, size(count)?)]))?)
            }
            Self::Right => {
                let (text, count) = (next(), next().integer()?);
                Value::Text(cut(text.into_text(), |text| Ok(&text[position_from_end(text, size(count)?)..]))?)
            }
            Self::Substring => {
                let (text, start) = (next(), next().integer()?);
                let count = arguments.next().map(|count| count.integer()).transpose()?;
                Value::Text(cut(text.into_text(), |text| substring(text, start, count))?)
            }
        })
    }
}

fn length(text: &str) -> Result<i32, Cause> {
    i32::try_from(text.chars().count()).map_err(|_| Cause::Math)
}

/// A number of characters, which must not be negative.
fn size(count: i32) -> Result<usize, Cause> {
    usize::try_from(count).map_err(|_| Cause::Function)
}

/// The byte at which the character number `index`, counted from 0, begins; the end when there are fewer.
fn position(text: &str, index: usize) -> usize {
    text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
}

/// The byte at which the last `count` characters begin; the beginning when there are fewer.
fn position_from_end(text: &str, count: usize) -> usize {
    match count.checked_sub(1) {
        Some(last) => text.char_indices().rev().nth(last).map_or(0, |(at, _)| at),
        None => text.len(),
    }
}

/// From the character number `start`, counted from 1, or from the end when it is negative.
fn substring(text: &str, start: i32, count: Option<i32>) -> Result<&str, Cause> {
    let count = count.map(size).transpose()?;
    let distance = start.unsigned_abs() as usize;
    if distance > text.chars().count() {
        return Err(Cause::Function);
    }
    let from = match start {
        0 => return Ok(""),
        1.. => &text[position(text, distance - 1)..],
        _ => &text[position_from_end(text, distance)..],
    };
    Ok(count.map_or(from, |count| &from[..position(from, count)]))
}

/// A part of a text, which stays borrowed when the text is.
fn cut<'v>(
    text: Cow<'v, str>,
    part: impl for<'t> FnOnce(&'t str) -> Result<&'t str, Cause>,
) -> Result<Cow<'v, str>, Cause> {
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(part(text)?),
        Cow::Owned(text) => Cow::Owned(part(&text)?.to_owned()),
    })
}
