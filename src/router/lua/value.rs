//! JSON to values of Lua, and back.

use mlua::{Lua, Table, Value};
use serde_json::{Map, Number};

use super::sandbox::is_out_of_memory;
use super::{Halt, MAX_RESULT};

type Json = serde_json::Value;

/// How deep a result may be nested; it also ends tables that hold themselves.
const MAX_DEPTH: usize = 64;

/// The integers that a float holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The data of an event: an object, or null, which is an empty one.
pub(super) fn from_json(lua: &Lua, json: &str) -> Result<Value, Halt> {
    let parsed: Json = serde_json::from_str(json).map_err(|_| Halt::Unreadable)?;
    let object = match parsed {
        Json::Object(object) => object,
        Json::Null => Map::new(),
        _ => return Err(Halt::NoObject),
    };
    table(lua, &object)
        .map(Value::Table)
        .map_err(|error| if is_out_of_memory(&error) { Halt::TooCostly } else { Halt::Failed(error.to_string()) })
}

fn table(lua: &Lua, object: &Map<String, Json>) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, object.len())?;
    for (key, member) in object {
        table.raw_set(key.as_str(), value(lua, member)?)?;
    }
    Ok(table)
}

/// Null is nil: a member that is not there, an element that is a hole.
fn value(lua: &Lua, json: &Json) -> mlua::Result<Value> {
    Ok(match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Object(object) => Value::Table(table(lua, object)?),
        Json::Array(elements) => {
            let table = lua.create_table_with_capacity(elements.len(), 0)?;
            for (at, element) in (1..).zip(elements) {
                table.raw_seti(at, value(lua, element)?)?;
            }
            Value::Table(table)
        }
    })
}

/// What a result is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Boolean(_) => "true or false",
        Value::Integer(_) | Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Table(_) => "a table",
        _ => "a function",
    }
}

/// A table as the text of a JSON object.
pub(super) fn to_json(value: &Value) -> Result<String, Halt> {
    let Value::Table(table) = value else {
        return Err(Halt::WrongType(kind(value)));
    };
    let mut room = MAX_RESULT;
    match read_table(table, MAX_DEPTH, &mut room)? {
        object @ Json::Object(_) => Ok(object.to_string()).and_then(|text| fit(text, MAX_RESULT)),
        _ => Err(Halt::WrongType("a list")),
    }
}

fn fit(text: String, most: usize) -> Result<String, Halt> {
    if text.len() <= most { Ok(text) } else { Err(Halt::TooCostly) }
}

/// Takes what a value needs at least from the room that is left, so that tables which are named
/// many times cannot grow without bound.
fn spend(room: &mut usize, bytes: usize) -> Result<(), Halt> {
    *room = room.checked_sub(bytes).ok_or(Halt::TooCostly)?;
    Ok(())
}

fn read(value: &Value, depth: usize, room: &mut usize) -> Result<Json, Halt> {
    spend(room, 1)?;
    match value {
        Value::Boolean(truth) => Ok(Json::Bool(*truth)),
        Value::Integer(number) => Ok(Json::Number((*number).into())),
        Value::Number(number) => read_number(*number),
        Value::String(text) => {
            let bytes = text.as_bytes();
            spend(room, bytes.len())?;
            let text = std::str::from_utf8(&bytes).map_err(|_| Halt::WrongType("a text that is not UTF-8"))?;
            Ok(Json::String(text.to_owned()))
        }
        Value::Table(table) => read_table(table, depth, room),
        other => Err(Halt::WrongType(kind(other))),
    }
}

#[expect(clippy::float_cmp, clippy::cast_possible_truncation, reason = "whole numbers are told apart exactly")]
fn read_number(number: f64) -> Result<Json, Halt> {
    if number.trunc() == number && number.abs() <= EXACT {
        return Ok(Json::Number((number as i64).into()));
    }
    Number::from_f64(number).map(Json::Number).ok_or(Halt::WrongType("a number that JSON cannot write"))
}

/// A list when its keys are 1 to n, or when it is empty and its metatable has `__is_array`; else an
/// object.
fn read_table(table: &Table, depth: usize, room: &mut usize) -> Result<Json, Halt> {
    let depth = depth.checked_sub(1).ok_or(Halt::TooCostly)?;
    let marked = || table.metatable().is_some_and(|meta| meta.raw_get("__is_array").unwrap_or(false));
    let length = table.raw_len();
    if length == 0 && table.is_empty() && marked() {
        return Ok(Json::Array(Vec::new()));
    }
    if length > 0 {
        return read_list(table, length, depth, room);
    }
    let mut object = Map::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, member) = pair.map_err(|error| Halt::Failed(error.to_string()))?;
        let key = match read(&key, depth, room)? {
            Json::String(key) => key,
            Json::Number(key) => key.to_string(),
            _ => return Err(Halt::WrongType("a table with keys that are neither texts nor numbers")),
        };
        object.insert(key, read(&member, depth, room)?);
    }
    // The order of a table is nobody's; the same data must give the same text.
    object.sort_keys();
    Ok(Json::Object(object))
}

fn read_list(table: &Table, length: usize, depth: usize, room: &mut usize) -> Result<Json, Halt> {
    let (mut list, mut found) = (Vec::new(), 0);
    for at in 1..=length {
        // A hole is a null, as it was on the way in.
        let element: Value = table.raw_get(at).map_err(|error| Halt::Failed(error.to_string()))?;
        if element.is_nil() {
            spend(room, 1)?;
            list.push(Json::Null);
        } else {
            found += 1;
            list.push(read(&element, depth, room)?);
        }
    }
    let keys = table.pairs::<Value, Value>().take(found + 1).count();
    if keys == found { Ok(Json::Array(list)) } else { Err(Halt::WrongType("a table that is half a list")) }
}
