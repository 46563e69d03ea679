//! The functions that templates know: Go's own, and a choice of sprig's under its names.

mod collection;
mod logic;
mod number;
mod print;
mod text;

use super::Halt;
use super::value::{Meter, Number, Value};
use std::borrow::Cow;

pub(super) type Eager = for<'a, 'm> fn(&'m Meter, &'m [Value<'a>]) -> Result<Value<'a>, Halt>;

#[derive(Debug)]
pub(super) enum Call {
    /// The first argument that is not true, or the last.
    And,
    /// The first argument that is true, or the last.
    Or,
    /// All arguments are worked out first.
    Eager(Eager),
}

#[derive(Debug)]
pub(super) struct Function {
    pub name: &'static str,
    least: usize,
    most: usize,
    pub call: Call,
}

/// So many arguments at most, where there is no other bound.
const MANY: usize = 64;

impl Function {
    const fn eager(name: &'static str, least: usize, most: usize, call: Eager) -> Self {
        Self { name, least, most, call: Call::Eager(call) }
    }

    pub fn takes(&self, arguments: usize) -> bool {
        (self.least..=self.most).contains(&arguments)
    }

    /// How many arguments it takes, for people.
    pub fn arguments(&self) -> String {
        match (self.least, self.most) {
            (1, 1) => "1 argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, MANY) => format!("{least} to {MANY} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        }
    }
}

static LAZY: [Function; 2] = [
    Function { name: "and", least: 1, most: MANY, call: Call::And },
    Function { name: "or", least: 1, most: MANY, call: Call::Or },
];

fn all() -> impl Iterator<Item = &'static Function> {
    LAZY.iter()
        .chain(&logic::FUNCTIONS)
        .chain(&print::FUNCTIONS)
        .chain(&text::FUNCTIONS)
        .chain(&number::FUNCTIONS)
        .chain(&collection::FUNCTIONS)
}

pub(super) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|function| function.name)
}

fn failed<T>(message: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Failed(message.into()))
}

/// An argument as text: whatever it is, as it would be printed; nothing where there is no value.
fn text<'m>(value: &'m Value<'_>, meter: &Meter) -> Result<Cow<'m, str>, Halt> {
    if matches!(value, Value::None) { Ok(Cow::Borrowed("")) } else { value.show(meter) }
}

fn number(value: &Value<'_>) -> Result<Number, Halt> {
    value.cast().map_or_else(|| failed(format!("{} is no number", value.kind())), Ok)
}

fn whole(value: &Value<'_>) -> Result<i64, Halt> {
    number(value)?.int().map_or_else(|| failed("the number is too large"), Ok)
}

/// A count that is not negative.
fn count(value: &Value<'_>) -> Result<usize, Halt> {
    usize::try_from(whole(value)?).or_else(|_| failed("a count must not be negative"))
}

fn elements<'a>(value: &Value<'a>, meter: &Meter) -> Result<Vec<Value<'a>>, Halt> {
    match (value.elements(meter)?, value) {
        (Some(values), _) => Ok(values),
        (None, Value::None) => Ok(Vec::new()),
        (None, _) => failed(format!("{} is no list", value.kind())),
    }
}
