//! Comparisons and choices.

use std::cmp::Ordering;

use super::super::Halt;
use super::super::value::{Meter, Value};
use super::{Function, MANY, failed};

pub(super) static FUNCTIONS: [Function; 12] = [
    Function::eager("not", 1, 1, |_, arguments| Ok(Value::Bool(!arguments[0].is_true()))),
    Function::eager("eq", 2, MANY, |_, arguments| {
        let mut equal = false;
        for other in &arguments[1..] {
            equal |= is_equal(&arguments[0], other)?;
        }
        Ok(Value::Bool(equal))
    }),
    Function::eager("ne", 2, 2, |_, arguments| Ok(Value::Bool(!is_equal(&arguments[0], &arguments[1])?))),
    Function::eager("lt", 2, 2, |_, arguments| order(arguments, Ordering::is_lt)),
    Function::eager("le", 2, 2, |_, arguments| order(arguments, Ordering::is_le)),
    Function::eager("gt", 2, 2, |_, arguments| order(arguments, Ordering::is_gt)),
    Function::eager("ge", 2, 2, |_, arguments| order(arguments, Ordering::is_ge)),
    Function::eager("default", 2, 2, |_, arguments| {
        Ok(if arguments[1].is_true() { arguments[1].clone() } else { arguments[0].clone() })
    }),
    Function::eager("empty", 1, 1, |_, arguments| Ok(Value::Bool(!arguments[0].is_true()))),
    Function::eager("coalesce", 1, MANY, |_, arguments| {
        Ok(arguments.iter().find(|value| value.is_true()).cloned().unwrap_or(Value::None))
    }),
    Function::eager("ternary", 3, 3, |_, arguments| {
        Ok(if arguments[2].is_true() { arguments[0].clone() } else { arguments[1].clone() })
    }),
    Function::eager("kindOf", 1, 1, kind_of),
];

fn is_equal(one: &Value<'_>, other: &Value<'_>) -> Result<bool, Halt> {
    if matches!(one, Value::None) || matches!(other, Value::None) {
        return Ok(matches!((one, other), (Value::None, Value::None)));
    }
    match one.compare(other) {
        Some(order) => Ok(order.is_eq()),
        None => failed(format!("{} and {} cannot be compared", one.kind(), other.kind())),
    }
}

fn order<'a>(arguments: &[Value<'a>], holds: fn(Ordering) -> bool) -> Result<Value<'a>, Halt> {
    let (one, other) = (&arguments[0], &arguments[1]);
    match one.compare(other) {
        Some(order) if !matches!(one, Value::None | Value::Bool(_)) => Ok(Value::Bool(holds(order))),
        _ => failed(format!("{} and {} have no order", one.kind(), other.kind())),
    }
}

fn kind_of<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let value = &arguments[0];
    meter.text(match value {
        Value::None => "invalid",
        Value::Bool(_) => "bool",
        Value::Text(_) => "string",
        Value::Int(_) => "int64",
        _ if value.is_map() => "map",
        _ if value.is_list() => "slice",
        _ => "float64",
    })
}
