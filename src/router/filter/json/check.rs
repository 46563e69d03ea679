//! The strict check, in one pass and without recursion.

use super::scan::{plain_run, skip_space};

/// How deep a payload may be nested. Real events stay below twenty; the bound keeps every later
/// walk over the payload, and the stack it needs, small.
pub const MAX_DEPTH: usize = 256;

/// Why a text is not taken as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    Syntax,
    TooDeep,
}

/// Checks that `text` is exactly one JSON document (RFC 8259): no byte order mark, no second
/// document, no trailing comma, no bare control character, no `NaN`.
///
/// # Errors
/// When it is not, or is nested more than [`MAX_DEPTH`] deep.
pub fn check(text: &str) -> Result<(), Invalid> {
    let bytes = text.as_bytes();
    let mut nesting = Nesting::default();
    let mut at = skip_space(bytes, 0);
    loop {
        // A value is expected here.
        at = match bytes.get(at) {
            Some(b'{') => {
                nesting.enter(true)?;
                let inside = skip_space(bytes, at + 1);
                if bytes.get(inside) != Some(&b'}') {
                    at = key(bytes, inside)?;
                    continue;
                }
                nesting.leave();
                inside + 1
            }
            Some(b'[') => {
                nesting.enter(false)?;
                let inside = skip_space(bytes, at + 1);
                if bytes.get(inside) != Some(&b']') {
                    at = inside;
                    continue;
                }
                nesting.leave();
                inside + 1
            }
            Some(b'"') => string(bytes, at + 1)?,
            Some(b'-' | b'0'..=b'9') => number(bytes, at)?,
            Some(b't') => word(bytes, at, b"true")?,
            Some(b'f') => word(bytes, at, b"false")?,
            Some(b'n') => word(bytes, at, b"null")?,
            _ => return Err(Invalid::Syntax),
        };
        // A value has ended; what may follow depends on what it is in.
        loop {
            at = skip_space(bytes, at);
            match (nesting.in_object(), bytes.get(at)) {
                (None, None) => return Ok(()),
                (Some(true), Some(b',')) => {
                    at = key(bytes, skip_space(bytes, at + 1))?;
                    break;
                }
                (Some(false), Some(b',')) => {
                    at = skip_space(bytes, at + 1);
                    break;
                }
                (Some(true), Some(b'}')) | (Some(false), Some(b']')) => {
                    nesting.leave();
                    at += 1;
                }
                _ => return Err(Invalid::Syntax),
            }
        }
    }
}

/// What is open, one bit a level: set for an object.
#[derive(Default)]
struct Nesting {
    objects: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nesting {
    #[inline]
    fn enter(&mut self, object: bool) -> Result<(), Invalid> {
        let word = self.objects.get_mut(self.depth / 64).ok_or(Invalid::TooDeep)?;
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
    }

    #[inline]
    fn in_object(&self) -> Option<bool> {
        let level = self.depth.checked_sub(1)?;
        Some(self.objects[level / 64] >> (level % 64) & 1 == 1)
    }
}

/// A key and its colon; returns where the value begins.
#[inline]
fn key(bytes: &[u8], at: usize) -> Result<usize, Invalid> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Invalid::Syntax);
    }
    let at = skip_space(bytes, string(bytes, at + 1)?);
    if bytes.get(at) == Some(&b':') { Ok(skip_space(bytes, at + 1)) } else { Err(Invalid::Syntax) }
}

/// The rest of a string, after its opening quote; returns what follows the closing one.
#[inline]
fn string(bytes: &[u8], mut at: usize) -> Result<usize, Invalid> {
    loop {
        at = plain_run(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') => {
                    let digits = bytes.get(at + 2..at + 6).ok_or(Invalid::Syntax)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(Invalid::Syntax);
                    }
                    at += 6;
                }
                _ => return Err(Invalid::Syntax),
            },
            _ => return Err(Invalid::Syntax),
        }
    }
}

fn number(bytes: &[u8], mut at: usize) -> Result<usize, Invalid> {
    if bytes[at] == b'-' {
        at += 1;
    }
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => digits(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Ok(at)
}

/// At least one digit.
fn digits(bytes: &[u8], at: usize) -> Result<usize, Invalid> {
    let count = bytes[at.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 { Err(Invalid::Syntax) } else { Ok(at + count) }
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Invalid> {
    if bytes[at..].starts_with(word) { Ok(at + word.len()) } else { Err(Invalid::Syntax) }
}
