//! The text of attributes in header values (`CloudEvents` HTTP binding 1.0.2, section 3.1.3.2).

use std::borrow::Cow;

/// Decodes a header value: a surrounding quoted string is undone, then one round of
/// percent-decoding. Raw UTF-8 is taken too, and a `%` that starts no escape stays a `%`.
///
/// # Errors
/// When the result is not UTF-8; the text continues "the header ...".
pub(in crate::event::codec) fn decode(value: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    const NOT_UTF8: &str = "is not UTF-8 after percent-decoding";
    let unquoted = unquote(value);
    if memchr::memchr(b'%', &unquoted).is_none() {
        return match unquoted {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| NOT_UTF8),
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| NOT_UTF8),
        };
    }
    let mut out = Vec::with_capacity(unquoted.len());
    let mut rest = unquoted.as_ref();
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(digit(*high) << 4 | digit(*low));
                rest = tail;
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| NOT_UTF8)
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

/// The inside of a quoted string, its backslash escapes undone; anything else as it is.
fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = value else { return Cow::Borrowed(value) };
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        out.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
    }
    Cow::Owned(out)
}

/// Whether a byte travels as it is: printable ASCII other than space, `"` and `%`.
fn is_plain(byte: u8) -> bool {
    (0x21..=0x7E).contains(&byte) && byte != b'"' && byte != b'%'
}

/// Encodes an attribute's text; `None` when it already is a legal header value.
pub(in crate::event::codec) fn encode(text: &str) -> Option<String> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let first = text.bytes().position(|byte| !is_plain(byte))?;
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for byte in text.bytes().skip(first) {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 0xF)]));
        }
    }
    Some(out)
}
