//! Raw tokens as text, number and truth.

use std::borrow::Cow;

/// What a raw token is, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Missing,
    Null,
    False,
    True,
    Number,
    Text,
    Container,
}

impl Kind {
    pub fn of(raw: &str) -> Self {
        let bytes = raw.as_bytes();
        match bytes.first() {
            None => Self::Missing,
            Some(b'"') => Self::Text,
            Some(b'{' | b'[') => Self::Container,
            Some(b't') => Self::True,
            Some(b'f') => Self::False,
            // The literals nan and inf of a path count as numbers.
            Some(b'n') if bytes.get(1).is_none_or(|b| *b == b'u') => Self::Null,
            Some(_) => Self::Number,
        }
    }
}

/// A raw token as text: a string without its quotes and escapes, a number in plain decimal, a
/// container as it is written, null as nothing.
pub fn text(raw: &str) -> Cow<'_, str> {
    match Kind::of(raw) {
        Kind::Missing | Kind::Null => Cow::Borrowed(""),
        Kind::Text => unescape(raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()),
        Kind::Number => decimal(raw),
        Kind::True | Kind::False | Kind::Container => Cow::Borrowed(raw),
    }
}

/// A raw token as a number: text is parsed, true and false are 1 and 0. Nothing when it is none;
/// Argo would take 0 there, and a filter for `< 5` would pass text, null and objects.
pub fn number(raw: &str) -> Option<f64> {
    match Kind::of(raw) {
        Kind::Number => raw.parse().ok(),
        Kind::Text => number_of_text(&text(raw)),
        Kind::True => Some(1.0),
        Kind::False => Some(0.0),
        Kind::Missing | Kind::Null | Kind::Container => None,
    }
}

/// A raw token as a truth: numbers are true unless 0, text must be one of the words of Go's
/// `ParseBool` in any case. Nothing when it is none, for the reason in [`number`].
pub fn truth(raw: &str) -> Option<bool> {
    match Kind::of(raw) {
        Kind::True => Some(true),
        Kind::False => Some(false),
        Kind::Number => raw.parse::<f64>().ok().map(|number| number != 0.0),
        Kind::Text => match text(raw).to_ascii_lowercase().as_str() {
            "1" | "t" | "true" => Some(true),
            "0" | "f" | "false" => Some(false),
            _ => None,
        },
        Kind::Missing | Kind::Null | Kind::Container => None,
    }
}

/// A number as people write it, by the grammar of Go's `ParseFloat` without its hexadecimal
/// forms: digits with at most one dot, an exponent, a sign, `_` between digits, `NaN`, `Inf`.
pub fn number_of_text(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'_') {
        return text.parse().ok();
    }
    let between = |at: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    let separates = bytes.iter().enumerate().all(|(at, b)| *b != b'_' || between(at));
    separates.then(|| text.replace('_', ""))?.parse().ok()
}

/// A JSON number in plain decimal: digits are kept exactly, an exponent is written out, zeros
/// that say nothing go (`1.0` is `1`, `1e3` is `1000`). An exponent out of bounds is left as it is.
fn decimal(raw: &str) -> Cow<'_, str> {
    /// More than a 64 bit float can hold; it bounds the zeros that are written.
    const MAX_EXPONENT: i32 = 400;
    let (sign, unsigned) = raw.strip_prefix('-').map_or(("", raw), |rest| ("-", rest));
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Cow::Borrowed(raw);
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.parse::<i32>().ok().filter(|exponent| exponent.abs() <= MAX_EXPONENT);
    let (Some(exponent), true) = (exponent, whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())) else {
        return Cow::Borrowed(raw);
    };
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).unwrap_or(i32::MAX).saturating_add(exponent);
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point <= digits.len() => (digits[..point].to_owned(), digits[point..].to_owned()),
        Ok(point) => (format!("{digits}{}", "0".repeat(point - digits.len())), String::new()),
        Err(_) => (String::new(), format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize))),
    };
    let whole = Some(whole.trim_start_matches('0')).filter(|whole| !whole.is_empty()).unwrap_or("0");
    let fraction = fraction.trim_end_matches('0');
    Cow::Owned(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// The text of a string's inside. Half of a surrogate pair becomes U+FFFD.
pub fn unescape(inside: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', inside.as_bytes()) else {
        return Cow::Borrowed(inside);
    };
    let mut out = String::with_capacity(inside.len());
    out.push_str(&inside[..first]);
    let mut rest = &inside[first..];
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (decoded, used) = escape(&rest[at..]);
        out.push(decoded);
        rest = rest.get(at + used..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of the escape with which `text` begins, and how many bytes it takes.
fn escape(text: &str) -> (char, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(text),
        Some(_) => return text[1..].chars().next().map_or((char::REPLACEMENT_CHARACTER, 2), |c| (c, 1 + c.len_utf8())),
        None => return (char::REPLACEMENT_CHARACTER, 1),
    };
    (simple, 2)
}

fn unicode_escape(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, 2);
    };
    let units = [Some(first), unit(6)];
    let decoded = char::decode_utf16(units.into_iter().map_while(|unit| unit)).next();
    match decoded {
        Some(Ok(decoded)) => (decoded, 6 * decoded.len_utf16()),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// `text` as a JSON string, escaped as Go does: `<`, `>`, `&` and the two line separators too.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend(["\\u", &format!("{:04x}", u32::from(c))]);
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}
