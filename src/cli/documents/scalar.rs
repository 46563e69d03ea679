//! Scalars by YAML's core schema, as JSON values.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::Value as Json;

/// The value of a scalar: only a plain one is more than text, unless a tag says so.
///
/// # Errors
/// Why it has no value that every reader agrees on.
pub fn read(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Json, String> {
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(Json::String(text.to_owned())) };
    };
    let own_words = tag.handle.is_empty() || tag.handle == "!";
    if (own_words && tag.suffix.is_empty()) || (tag.is_yaml_core_schema() && tag.suffix == "str") {
        return Ok(Json::String(text.to_owned()));
    }
    let right = |value: &Json| match tag.suffix.as_str() {
        "int" => value.is_i64() || value.is_u64(),
        "float" => value.is_number(),
        "bool" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    if !tag.is_yaml_core_schema() || !["int", "float", "bool", "null"].contains(&tag.suffix.as_str()) {
        return Err(format!("unknown tag {tag}"));
    }
    let suffix = &tag.suffix;
    plain(text).ok().filter(right).ok_or_else(|| format!("{text:?} is not what its tag !!{suffix} says"))
}

/// A plain scalar by the core schema (YAML 1.2.2, 10.3.2).
fn plain(text: &str) -> Result<Json, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Json::Null),
        "true" | "True" | "TRUE" => return Ok(Json::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Json::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("{text} is a number that JSON does not have"));
    }
    Ok(number(text, unsigned)?.unwrap_or_else(|| Json::String(text.to_owned())))
}

/// The number that a plain scalar is, if it is one.
fn number(text: &str, unsigned: &str) -> Result<Option<Json>, String> {
    let radix =
        |prefix: &str, radix| text.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, radix).ok());
    if let Some(value) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Ok(Some(value.into()));
    }
    let shaped = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !shaped {
        return Ok(None);
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return Err(format!("{text} is octal to some readers and decimal to others: quote it, or drop the zeros"));
        }
        let digits = text.strip_prefix('+').unwrap_or(text);
        if let Ok(value) = digits.parse::<i64>() {
            return Ok(Some(value.into()));
        }
        if let Ok(value) = digits.parse::<u64>() {
            return Ok(Some(value.into()));
        }
    }
    let float: Option<f64> = text.parse().ok();
    match float {
        Some(float) if float.is_finite() => Ok(serde_json::Number::from_f64(float).map(Json::Number)),
        Some(_) => Err(format!("{text} is too large for a number")),
        None => Ok(None),
    }
}
