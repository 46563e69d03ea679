//! The functions of `string` that match patterns or repeat texts, with their steps counted.

use std::cell::Cell;

use mlua::{Error, Function, Lua, LuaString, MultiValue, Table, Value};

use super::MAX_MEMORY;
use super::pattern::{Capture, Failure, Matcher};
use super::sandbox::{charge, left, nest};

/// The characters that make a text more than plain in a pattern.
const SPECIAL: &[u8] = b"^$*+?.([%-";

/// `find`, `match`, `gmatch`, `gsub` and `rep`.
pub(super) fn functions(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("find", lua.create_function(find)?)?;
    table.raw_set("match", lua.create_function(first_match)?)?;
    table.raw_set("gmatch", lua.create_function(gmatch)?)?;
    table.raw_set("gsub", lua.create_function(gsub)?)?;
    table.raw_set("rep", lua.create_function(rep)?)?;
    Ok(table)
}

/// The place in a text of `length` bytes that `init` means, from 0; negative ones count from the end.
fn start(init: Option<i64>, length: usize) -> usize {
    let init = init.unwrap_or(1);
    let forward = usize::try_from(init).map(|init| init.saturating_sub(1));
    let backward = || length.saturating_sub(usize::try_from(init.unsigned_abs()).unwrap_or(usize::MAX));
    forward.unwrap_or_else(|_| backward()).min(length)
}

fn find(
    lua: &Lua,
    (text, pattern, init, plain): (LuaString, LuaString, Option<i64>, Option<bool>),
) -> mlua::Result<MultiValue> {
    let (bytes, wanted) = (text.as_bytes(), pattern.as_bytes());
    let from = start(init, bytes.len());
    if plain == Some(true) || !wanted.iter().any(|byte| SPECIAL.contains(byte)) {
        charge(lua, (bytes.len() - from) as u64 / 16 + 1)?;
        let found = memchr::memmem::find(&bytes[from..], &wanted);
        let Some(found) = found.map(|found| found + from) else {
            return Ok(MultiValue::from_vec(vec![Value::Nil]));
        };
        return Ok([found + 1, found + wanted.len()].into_iter().map(position).collect());
    }
    let Some((begin, end, captures)) = search(lua, &bytes, &wanted, from)? else {
        return Ok(MultiValue::from_vec(vec![Value::Nil]));
    };
    let mut values = vec![position(begin + 1), position(end)];
    for capture in &captures {
        values.push(captured(lua, &bytes, *capture)?);
    }
    Ok(MultiValue::from_vec(values))
}

fn first_match(lua: &Lua, (text, pattern, init): (LuaString, LuaString, Option<i64>)) -> mlua::Result<MultiValue> {
    let (bytes, wanted) = (text.as_bytes(), pattern.as_bytes());
    match search(lua, &bytes, &wanted, start(init, bytes.len()))? {
        Some((begin, end, captures)) => parts(lua, &bytes, begin, end, &captures),
        None => Ok(MultiValue::from_vec(vec![Value::Nil])),
    }
}

/// In 5.1 a `^` has no meaning here.
fn gmatch(lua: &Lua, (text, pattern): (LuaString, LuaString)) -> mlua::Result<Function> {
    let next = Cell::new(0_usize);
    lua.create_function(move |lua, ()| {
        let (bytes, wanted) = (text.as_bytes(), pattern.as_bytes());
        if next.get() > bytes.len() {
            return Ok(MultiValue::from_vec(vec![Value::Nil]));
        }
        let mut matcher = Matcher::new(&bytes, &wanted, left(lua));
        let found = scan(&mut matcher, next.get(), bytes.len());
        charge(lua, matcher.steps)?;
        let Some((begin, end)) = found.map_err(|failure| failed(&failure))? else {
            next.set(bytes.len() + 1);
            return Ok(MultiValue::from_vec(vec![Value::Nil]));
        };
        // Behind an empty match it goes on one further.
        next.set(if end == begin { end + 1 } else { end });
        parts(lua, &bytes, begin, end, &matcher.captures)
    })
}

fn gsub(
    lua: &Lua,
    (text, pattern, by, most): (LuaString, LuaString, Value, Option<i64>),
) -> mlua::Result<(LuaString, i64)> {
    let (bytes, whole) = (text.as_bytes(), pattern.as_bytes());
    let (wanted, anchored) = match whole.split_first() {
        Some((b'^', rest)) => (rest, true),
        _ => (&whole[..], false),
    };
    let (mut out, mut at, mut count) = (Vec::new(), 0, 0);
    while most.is_none_or(|most| count < most) {
        let mut matcher = Matcher::new(&bytes, wanted, left(lua));
        let found = matcher.at(at);
        charge(lua, matcher.steps)?;
        let end = found.map_err(|failure| failed(&failure))?;
        if let Some(end) = end {
            count += 1;
            replace(lua, &bytes, (at, end), &matcher.captures, &by, &mut out)?;
        }
        match end {
            Some(end) if end > at => at = end,
            _ => {
                out.extend(bytes.get(at));
                at += 1;
            }
        }
        if at > bytes.len() || anchored {
            break;
        }
        if out.len() > MAX_MEMORY {
            return Err(Error::runtime("not enough memory"));
        }
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    Ok((lua.create_string(out)?, count))
}

/// Appends what a match is replaced by.
fn replace(
    lua: &Lua,
    text: &[u8],
    (begin, end): (usize, usize),
    captures: &[Capture],
    by: &Value,
    out: &mut Vec<u8>,
) -> mlua::Result<()> {
    let first = || match captures.first() {
        Some(capture) => captured(lua, text, *capture),
        None => lua.create_string(&text[begin..end]).map(Value::String),
    };
    let value = match by {
        Value::Table(table) => {
            let key = first()?;
            nest(lua, || table.get(key))?
        }
        Value::Function(function) => {
            let arguments = parts(lua, text, begin, end, captures)?;
            nest(lua, || function.call(arguments))?
        }
        Value::String(_) | Value::Number(_) | Value::Integer(_) => {
            let template = lua.coerce_string(by.clone())?.ok_or_else(|| Error::runtime("no text"))?;
            let template = template.as_bytes();
            charge(lua, template.len() as u64)?;
            let mut rest = template.iter();
            while let Some(byte) = rest.next() {
                match (byte, if *byte == b'%' { rest.next() } else { None }) {
                    (b'%', Some(b'0')) => out.extend_from_slice(&text[begin..end]),
                    (b'%', Some(digit)) if digit.is_ascii_digit() => {
                        let place = usize::from(digit - b'1');
                        let value = match captures.get(place) {
                            Some(capture) => captured(lua, text, *capture)?,
                            None if place == 0 => first()?,
                            None => return Err(Error::runtime("invalid capture index")),
                        };
                        append(lua, value, out)?;
                    }
                    (b'%', Some(plain)) => out.push(*plain),
                    _ => out.push(*byte),
                }
            }
            return Ok(());
        }
        _ => return Err(Error::runtime("bad argument #3 to 'gsub' (string/function/table expected)")),
    };
    match value {
        Value::Nil | Value::Boolean(false) => out.extend_from_slice(&text[begin..end]),
        value => append(lua, value, out)?,
    }
    Ok(())
}

fn append(lua: &Lua, value: Value, out: &mut Vec<u8>) -> mlua::Result<()> {
    let kind = value.type_name();
    let text = match value {
        value @ (Value::String(_) | Value::Number(_) | Value::Integer(_)) => lua.coerce_string(value)?,
        _ => None,
    };
    let text = text.ok_or_else(|| Error::runtime(format!("invalid replacement value (a {kind})")))?;
    let text = text.as_bytes();
    if out.len() + text.len() > MAX_MEMORY {
        return Err(Error::runtime("not enough memory"));
    }
    out.extend_from_slice(&text);
    Ok(())
}

fn rep(lua: &Lua, (text, times): (LuaString, i64)) -> mlua::Result<LuaString> {
    let bytes = text.as_bytes();
    let times = usize::try_from(times).unwrap_or(0);
    let length = bytes.len().checked_mul(times).filter(|length| *length <= MAX_MEMORY);
    let length = length.ok_or_else(|| Error::runtime("not enough memory"))?;
    charge(lua, length as u64 / 16 + 1)?;
    lua.create_string(bytes.repeat(if bytes.is_empty() { 0 } else { times }))
}

/// The first match at or behind `from`, with its captures.
fn search(lua: &Lua, text: &[u8], pattern: &[u8], from: usize) -> mlua::Result<Option<(usize, usize, Vec<Capture>)>> {
    let (pattern, last) = match pattern.split_first() {
        Some((b'^', rest)) => (rest, from),
        _ => (pattern, text.len()),
    };
    let mut matcher = Matcher::new(text, pattern, left(lua));
    let found = scan(&mut matcher, from, last);
    charge(lua, matcher.steps)?;
    Ok(found.map_err(|failure| failed(&failure))?.map(|(begin, end)| (begin, end, matcher.captures)))
}

/// The first match that begins from `from` to `last`.
fn scan(matcher: &mut Matcher<'_>, from: usize, last: usize) -> Result<Option<(usize, usize)>, Failure> {
    for begin in from..=last {
        if let Some(end) = matcher.at(begin)? {
            return Ok(Some((begin, end)));
        }
    }
    Ok(None)
}

fn failed(failure: &Failure) -> Error {
    match failure {
        Failure::Malformed(message) => Error::runtime(*message),
        Failure::TooCostly => Error::runtime("pattern too complex"),
    }
}

/// The captures, or the whole match when the pattern has none.
fn parts(lua: &Lua, text: &[u8], begin: usize, end: usize, captures: &[Capture]) -> mlua::Result<MultiValue> {
    if captures.is_empty() {
        return captured(lua, text, Capture::Part(begin, end)).map(|whole| MultiValue::from_vec(vec![whole]));
    }
    captures.iter().map(|capture| captured(lua, text, *capture)).collect()
}

fn captured(lua: &Lua, text: &[u8], capture: Capture) -> mlua::Result<Value> {
    match capture {
        Capture::Part(start, end) => lua.create_string(&text[start..end]).map(Value::String),
        Capture::Position(at) => Ok(position(at + 1)),
        Capture::Open(_) => Err(Error::runtime("unfinished capture")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "texts are far shorter than 2^52 bytes")]
fn position(place: usize) -> Value {
    Value::Number(place as f64)
}
