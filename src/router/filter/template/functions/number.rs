//! Arithmetic. Whole numbers are of 64 bits, and leaving them is an error; texts that are numbers count as such.

use super::super::Halt;
use super::super::value::{Meter, Number, Value};
use super::{Function, MANY, failed, number, whole};

pub(super) static FUNCTIONS: [Function; 19] = [
    Function::eager("add", 1, MANY, |_, arguments| fold(arguments, i64::checked_add)),
    Function::eager("add1", 1, 1, |_, arguments| checked(whole(&arguments[0])?.checked_add(1))),
    Function::eager("sub", 2, 2, |_, arguments| fold(arguments, i64::checked_sub)),
    Function::eager("mul", 1, MANY, |_, arguments| fold(arguments, i64::checked_mul)),
    Function::eager("div", 2, 2, |_, arguments| divide(arguments, i64::checked_div)),
    Function::eager("mod", 2, 2, |_, arguments| divide(arguments, i64::checked_rem)),
    Function::eager("addf", 1, MANY, |_, arguments| floats(arguments, |one, other| one + other)),
    Function::eager("subf", 2, 2, |_, arguments| floats(arguments, |one, other| one - other)),
    Function::eager("mulf", 1, MANY, |_, arguments| floats(arguments, |one, other| one * other)),
    Function::eager("divf", 2, 2, |_, arguments| floats(arguments, |one, other| one / other)),
    Function::eager("max", 1, MANY, |_, arguments| fold(arguments, |one, other| Some(one.max(other)))),
    Function::eager("min", 1, MANY, |_, arguments| fold(arguments, |one, other| Some(one.min(other)))),
    Function::eager("floor", 1, 1, |_, arguments| float(number(&arguments[0])?.float().floor())),
    Function::eager("ceil", 1, 1, |_, arguments| float(number(&arguments[0])?.float().ceil())),
    Function::eager("round", 2, 2, round),
    Function::eager("int", 1, 1, |_, arguments| Ok(Value::Int(whole(&arguments[0])?))),
    Function::eager("int64", 1, 1, |_, arguments| Ok(Value::Int(whole(&arguments[0])?))),
    Function::eager("atoi", 1, 1, |_, arguments| Ok(Value::Int(whole(&arguments[0])?))),
    Function::eager("float64", 1, 1, |_, arguments| float(number(&arguments[0])?.float())),
];

fn fold<'a>(arguments: &[Value<'a>], step: fn(i64, i64) -> Option<i64>) -> Result<Value<'a>, Halt> {
    let mut result = whole(&arguments[0])?;
    for other in &arguments[1..] {
        result = match step(result, whole(other)?) {
            Some(result) => result,
            None => return failed("the result is too large"),
        };
    }
    Ok(Value::Int(result))
}

fn divide<'a>(arguments: &[Value<'a>], step: fn(i64, i64) -> Option<i64>) -> Result<Value<'a>, Halt> {
    if whole(&arguments[1])? == 0 {
        return failed("a division by zero");
    }
    checked(step(whole(&arguments[0])?, whole(&arguments[1])?))
}

fn checked<'a>(result: Option<i64>) -> Result<Value<'a>, Halt> {
    result.map_or_else(|| failed("the result is too large"), |number| Ok(Value::Int(number)))
}

fn floats<'a>(arguments: &[Value<'a>], step: fn(f64, f64) -> f64) -> Result<Value<'a>, Halt> {
    let mut result = number(&arguments[0])?.float();
    for other in &arguments[1..] {
        result = step(result, number(other)?.float());
    }
    float(result)
}

fn float<'a>(result: f64) -> Result<Value<'a>, Halt> {
    if result.is_finite() { Ok(Value::Float(result)) } else { failed("the result is no number") }
}

/// Half away from zero, at so many places.
fn round<'a>(_: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let places = i32::try_from(whole(&arguments[1])?).ok().filter(|places| (0..=15).contains(places));
    let Some(places) = places else { return failed("it rounds to 0 to 15 places") };
    match number(&arguments[0])? {
        Number::Int(number) => Ok(Value::Int(number)),
        Number::Float(number) => {
            let power = 10_f64.powi(places);
            float((number * power).round() / power)
        }
    }
}
