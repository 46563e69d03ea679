//! Texts. Positions and lengths count characters.

use super::super::Halt;
use super::super::value::{Meter, Value};
use super::{Function, count, elements, failed, text, whole};

pub(super) static FUNCTIONS: [Function; 30] = [
    Function::eager("upper", 1, 1, |meter, arguments| map(meter, arguments, str::to_uppercase)),
    Function::eager("lower", 1, 1, |meter, arguments| map(meter, arguments, str::to_lowercase)),
    Function::eager("title", 1, 1, |meter, arguments| map(meter, arguments, |text| words(text, char::to_uppercase))),
    Function::eager("untitle", 1, 1, |meter, arguments| map(meter, arguments, |text| words(text, char::to_lowercase))),
    Function::eager("trim", 1, 1, |meter, arguments| map(meter, arguments, |text| text.trim().to_owned())),
    Function::eager("nospace", 1, 1, |meter, arguments| {
        map(meter, arguments, |text| text.chars().filter(|c| !c.is_whitespace()).collect())
    }),
    Function::eager("trimAll", 2, 2, |meter, arguments| {
        two(meter, arguments, |cut, text| text.trim_matches(|c| cut.contains(c)).to_owned())
    }),
    Function::eager("trimPrefix", 2, 2, |meter, arguments| {
        two(meter, arguments, |cut, text| text.strip_prefix(cut).unwrap_or(text).to_owned())
    }),
    Function::eager("trimSuffix", 2, 2, |meter, arguments| {
        two(meter, arguments, |cut, text| text.strip_suffix(cut).unwrap_or(text).to_owned())
    }),
    Function::eager("contains", 2, 2, |meter, arguments| holds(meter, arguments, |part, text| text.contains(part))),
    Function::eager("hasPrefix", 2, 2, |meter, arguments| holds(meter, arguments, |part, text| text.starts_with(part))),
    Function::eager("hasSuffix", 2, 2, |meter, arguments| holds(meter, arguments, |part, text| text.ends_with(part))),
    Function::eager("trunc", 2, 2, truncate),
    Function::eager("abbrev", 2, 2, abbreviate),
    Function::eager("substr", 3, 3, substring),
    Function::eager("repeat", 2, 2, repeat),
    Function::eager("replace", 3, 3, replace),
    Function::eager("indent", 2, 2, |meter, arguments| indent(meter, arguments, "")),
    Function::eager("nindent", 2, 2, |meter, arguments| indent(meter, arguments, "\n")),
    Function::eager("split", 2, 2, split),
    Function::eager("splitList", 2, 2, split),
    Function::eager("join", 2, 2, join),
    Function::eager("b64enc", 1, 1, |meter, arguments| {
        map(meter, arguments, |text| data_encoding::BASE64.encode(text.as_bytes()))
    }),
    Function::eager("b64dec", 1, 1, |meter, arguments| decode(meter, arguments, &data_encoding::BASE64)),
    Function::eager("b32enc", 1, 1, |meter, arguments| {
        map(meter, arguments, |text| data_encoding::BASE32.encode(text.as_bytes()))
    }),
    Function::eager("b32dec", 1, 1, |meter, arguments| decode(meter, arguments, &data_encoding::BASE32)),
    Function::eager("sha1sum", 1, 1, |meter, arguments| {
        map(meter, arguments, |text| digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text))
    }),
    Function::eager("sha256sum", 1, 1, |meter, arguments| {
        map(meter, arguments, |text| digest(&ring::digest::SHA256, text))
    }),
    Function::eager("sha512sum", 1, 1, |meter, arguments| {
        map(meter, arguments, |text| digest(&ring::digest::SHA512, text))
    }),
    Function::eager("urlquery", 1, 1, |meter, arguments| map(meter, arguments, escape)),
];

fn map<'a>(meter: &Meter, arguments: &[Value<'a>], change: fn(&str) -> String) -> Result<Value<'a>, Halt> {
    let text = text(&arguments[0], meter)?;
    // Before the work, which costs as much.
    meter.charge(text.len())?;
    meter.text(change(&text))
}

fn two<'a>(meter: &Meter, arguments: &[Value<'a>], change: fn(&str, &str) -> String) -> Result<Value<'a>, Halt> {
    let (one, other) = (text(&arguments[0], meter)?, text(&arguments[1], meter)?);
    meter.charge(one.len() + other.len())?;
    meter.text(change(&one, &other))
}

fn holds<'a>(meter: &Meter, arguments: &[Value<'a>], test: fn(&str, &str) -> bool) -> Result<Value<'a>, Halt> {
    let (one, other) = (text(&arguments[0], meter)?, text(&arguments[1], meter)?);
    meter.charge(one.len() + other.len())?;
    Ok(Value::Bool(test(&one, &other)))
}

/// Changes the first letter of each word.
fn words<I: Iterator<Item = char>>(text: &str, change: fn(char) -> I) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(change(c));
        }
        inside = c.is_alphanumeric() || matches!(c, '_' | '\'');
    }
    out
}

/// The first characters, or the last with a negative count.
fn truncate<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let (most, text) = (whole(&arguments[0])?, text(&arguments[1], meter)?);
    let wanted = usize::try_from(most.unsigned_abs()).unwrap_or(usize::MAX);
    meter.charge(text.len())?;
    let skipped = if most < 0 { text.chars().count().saturating_sub(wanted) } else { 0 };
    meter.text(text.chars().skip(skipped).take(wanted).collect::<String>())
}

/// As `trunc`, with three dots for what is cut.
fn abbreviate<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let (most, text) = (count(&arguments[0])?, text(&arguments[1], meter)?);
    meter.charge(text.len())?;
    if most < 4 || text.chars().count() <= most {
        return meter.text(text.into_owned());
    }
    meter.text(text.chars().take(most - 3).collect::<String>() + "...")
}

/// From, to, text; a negative end is the end of the text.
fn substring<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let (from, to, text) = (whole(&arguments[0])?, whole(&arguments[1])?, text(&arguments[2], meter)?);
    meter.charge(text.len())?;
    let from = usize::try_from(from).unwrap_or(0);
    let to = usize::try_from(to).unwrap_or(usize::MAX);
    meter.text(text.chars().skip(from).take(to.saturating_sub(from)).collect::<String>())
}

fn repeat<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let (times, text) = (count(&arguments[0])?, text(&arguments[1], meter)?);
    // Nothing is made that would be too large.
    meter.charge(times.saturating_mul(text.len()))?;
    meter.text(text.repeat(times))
}

/// What, with what, text.
fn replace<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let (from, to, text) = (text(&arguments[0], meter)?, text(&arguments[1], meter)?, text(&arguments[2], meter)?);
    meter.charge(text.len())?;
    let times = text.matches(&*from).count();
    meter.charge(times.saturating_mul(to.len()))?;
    meter.text(text.replace(&*from, &to))
}

fn indent<'a>(meter: &Meter, arguments: &[Value<'a>], before: &str) -> Result<Value<'a>, Halt> {
    let (width, text) = (count(&arguments[0])?, text(&arguments[1], meter)?);
    let lines = text.matches('\n').count() + 1;
    meter.charge(lines.saturating_mul(width).saturating_add(text.len()))?;
    let space = " ".repeat(width);
    meter.text(format!("{before}{space}{}", text.replace('\n', &format!("\n{space}"))))
}

/// A list of parts.
fn split<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let (by, text) = (text(&arguments[0], meter)?, text(&arguments[1], meter)?);
    if by.is_empty() {
        return failed("a text cannot be split by nothing");
    }
    meter.charge(text.len())?;
    meter.values(text.matches(&*by).count() + 1)?;
    Value::list(text.split(&*by).map(|part| Value::Text(part.to_owned().into())).collect())
}

fn join<'a>(meter: &Meter, arguments: &[Value<'a>]) -> Result<Value<'a>, Halt> {
    let (by, values) = (text(&arguments[0], meter)?, elements(&arguments[1], meter)?);
    let mut parts = Vec::with_capacity(values.len());
    for value in values.iter().filter(|value| !matches!(value, Value::None)) {
        let part = text(value, meter)?.into_owned();
        meter.charge(part.len() + by.len())?;
        parts.push(part);
    }
    meter.text(parts.join(&by))
}

fn decode<'a>(meter: &Meter, arguments: &[Value<'a>], encoding: &data_encoding::Encoding) -> Result<Value<'a>, Halt> {
    let text = text(&arguments[0], meter)?;
    meter.charge(text.len())?;
    match encoding.decode(text.trim().as_bytes()).map(String::from_utf8) {
        Ok(Ok(text)) => meter.text(text),
        Ok(Err(_)) => failed("what it decodes to is no UTF-8 text"),
        Err(_) => failed("the text is not encoded so"),
    }
}

fn digest(algorithm: &'static ring::digest::Algorithm, text: &str) -> String {
    data_encoding::HEXLOWER.encode(ring::digest::digest(algorithm, text.as_bytes()).as_ref())
}

/// As Go's `url.QueryEscape`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.extend(['%'].into_iter().chain(format!("{other:02X}").chars())),
        }
    }
    out
}
