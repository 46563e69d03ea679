//! Lists and objects.

use std::borrow::Cow;

use super::super::Halt;
use super::super::value::{Meter, Value};
use super::{Function, MANY, count, elements, failed, text};

pub(super) static FUNCTIONS: [Function; 19] = [
    Function::eager("len", 1, 1, length),
    Function::eager("index", 2, MANY, index),
    Function::eager("slice", 1, 3, slice),
    Function::eager("list", 0, MANY, |meter, arguments| made(meter, arguments.to_vec())),
    Function::eager("dict", 0, MANY, dict),
    Function::eager("get", 2, 2, |meter, arguments| arguments[0].member(&text(&arguments[1], meter)?, meter)),
    Function::eager("hasKey", 2, 2, |meter, arguments| {
        let (members, key) = (members(&arguments[0], meter)?, text(&arguments[1], meter)?);
        Ok(Value::Bool(members.iter().any(|(known, _)| *known == key)))
    }),
    Function::eager("keys", 1, 1, |meter, arguments| {
        let members = members(&arguments[0], meter)?;
        made(meter, members.into_iter().map(|(key, _)| Value::Text(Cow::Owned(key))).collect())
    }),
    Function::eager("values", 1, 1, |meter, arguments| {
        let members = members(&arguments[0], meter)?;
        made(meter, members.into_iter().map(|(_, value)| value).collect())
    }),
    Function::eager("first", 1, 1, |meter, arguments| {
        Ok(elements(&arguments[0], meter)?.into_iter().next().unwrap_or(Value::None))
    }),
    Function::eager("last", 1, 1, |meter, arguments| Ok(elements(&arguments[0], meter)?.pop().unwrap_or(Value::None))),
    Function::eager("rest", 1, 1, |meter, arguments| {
        made(meter, elements(&arguments[0], meter)?.into_iter().skip(1).collect())
    }),
    Function::eager("initial", 1, 1, |meter, arguments| {
        let mut values = elements(&arguments[0], meter)?;
        values.pop();
        made(meter, values)
    }),
    Function::eager("append", 2, 2, |meter, arguments| {
        let mut values = elements(&arguments[0], meter)?;
        values.push(arguments[1].clone());
        made(meter, values)
    }),
    Function::eager("prepend", 2, 2, |meter, arguments| {
        let values = elements(&arguments[0], meter)?;
        made(meter, std::iter::once(arguments[1].clone()).chain(values).collect())
    }),
    Function::eager("concat", 1, MANY, |meter, arguments| {
        let lists: Result<Vec<_>, Halt> = arguments.iter().map(|list| elements(list, meter)).collect();
        made(meter, lists?.into_iter().flatten().collect())
    }),
    Function::eager("reverse", 1, 1, |meter, arguments| {
        made(meter, elements(&arguments[0], meter)?.into_iter().rev().collect())
    }),
    Function::eager("uniq", 1, 1, unique),
    Function::eager("has", 2, 2, |meter, arguments| {
        let wanted = arguments[0].json(meter)?;
        for value in elements(&arguments[1], meter)? {
            if value.json(meter)? == wanted {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
];

fn made<'a>(meter: &Meter, values: Vec<Value<'a>>) -> Result<Value<'a>, Halt> {
    meter.values(values.len())?;
    Value::list(values)
}

fn members<'a>(value: &Value<'a>, meter: &Meter) -> Result<Vec<(String, Value<'a>)>, Halt> {
    match value.members(meter)? {
        Some(members) => Ok(members),
        None => failed(format!("{} is no object", value.kind())),
    }
}

fn length<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let value = &arguments[0];
    let length = match value {
        // Bytes, as Go has it.
        Value::Text(text) => text.len(),
        Value::None => 0,
        _ => match (value.elements(meter)?, value.members(meter)?) {
            (Some(values), _) => values.len(),
            (None, Some(members)) => members.len(),
            (None, None) => return failed(format!("{} has no length", value.kind())),
        },
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// Through several levels: a key of an object, a place in a list.
fn index<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let mut value = arguments[0].clone();
    for key in &arguments[1..] {
        value = if value.is_list() {
            let (at, mut values) = (count(key)?, elements(&value, meter)?);
            if at >= values.len() {
                return failed(format!("the list has no place {at}: it has {}", values.len()));
            }
            values.swap_remove(at)
        } else {
            value.member(&text(key, meter)?, meter)?
        };
    }
    Ok(value)
}

/// Of a list or a text (in bytes, as Go has it), from one place to another.
fn slice<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let at = |place: usize| arguments.get(place).map(count).transpose();
    let from = at(1)?.unwrap_or(0);
    if let Value::Text(text) = &arguments[0] {
        let to = at(2)?.unwrap_or(text.len());
        return match text.get(from..to) {
            Some(part) => meter.text(part.to_owned()),
            None => failed("the places are not in the text, or within a character"),
        };
    }
    let values = elements(&arguments[0], meter)?;
    let to = at(2)?.unwrap_or(values.len());
    match values.get(from..to) {
        Some(part) => made(meter, part.to_vec()),
        None => failed("the places are not in the list"),
    }
}

/// Keys and values by turns.
fn dict<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    if !arguments.len().is_multiple_of(2) {
        return failed("a key has no value");
    }
    let mut members: Vec<(String, Value<'a>)> = Vec::with_capacity(arguments.len() / 2);
    for pair in arguments.chunks_exact(2) {
        let key = text(&pair[0], meter)?.into_owned();
        meter.charge(key.len())?;
        members.retain(|(known, _)| *known != key);
        members.push((key, pair[1].clone()));
    }
    meter.values(members.len())?;
    Value::map(members)
}

fn unique<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for value in elements(&arguments[0], meter)? {
        if seen.insert(value.json(meter)?) {
            kept.push(value);
        }
    }
    made(meter, kept)
}
