//! Finding the ends of tokens. Apart from [`plain_run`] and [`skip_space`], everything here
//! trusts that the text was checked; on other text the answers are wrong but never out of range.

const ONES: u128 = u128::MAX / 0xFF;
const HIGHS: u128 = ONES << 7;

/// A mask with the high bit of the lowest byte of `word` that equals `byte`; bits above that one
/// may be wrong, since the subtraction borrows.
const fn equal(word: u128, byte: u8) -> u128 {
    let difference = word ^ (ONES * byte as u128);
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

/// Sixteen bytes at a time: most strings of a payload end within them, so that the processor
/// guesses the way through [`plain_run`] right.
#[inline]
fn sixteen(bytes: &[u8], at: usize) -> Option<u128> {
    bytes.get(at..)?.first_chunk().map(|chunk| u128::from_le_bytes(*chunk))
}

/// The first position from `at` that is a quote, a backslash or a control character.
#[inline]
pub(super) fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = sixteen(bytes, at) {
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let stop = equal(word, b'"') | equal(word, b'\\') | control;
        if stop != 0 {
            return at + (stop.trailing_zeros() / 8) as usize;
        }
        at += 16;
    }
    while bytes.get(at).is_some_and(|b| *b >= 0x20 && *b != b'"' && *b != b'\\') {
        at += 1;
    }
    at
}

/// The first position from `at` that is no JSON white space.
#[inline]
pub fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the string whose opening quote is before `at` ends (after its closing quote), and
/// whether it holds an escape.
#[inline]
pub fn string_end(bytes: &[u8], mut at: usize) -> (usize, bool) {
    let mut escaped = false;
    loop {
        at = plain_run(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return (at + 1, escaped),
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            Some(_) => at += 1,
            None => return (bytes.len(), escaped),
        }
    }
}

/// Where the value that begins at `at` ends.
#[inline]
pub fn value_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at + 1).0,
        Some(b'{' | b'[') => container_end(bytes, at + 1),
        _ => scalar_end(bytes, at),
    }
}

/// At least one byte further, so that every walk ends, on text that was not checked too.
fn scalar_end(bytes: &[u8], start: usize) -> usize {
    let mut at = (start + 1).min(bytes.len());
    while bytes.get(at).is_some_and(|b| *b > b' ' && !matches!(b, b',' | b']' | b'}')) {
        at += 1;
    }
    at
}

/// After the bracket that closes the container in which `at` is.
fn container_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 1_usize;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(bytes, at).0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    at
}

/// Where the value of the key that ended before `at` begins: after the colon.
#[inline]
pub fn key_end(bytes: &[u8], at: usize) -> usize {
    skip_space(bytes, skip_space(bytes, at) + 1)
}

/// The value with which `text` begins: the token itself, but a container with all that follows
/// it. Empty when there is none.
pub fn token(text: &str) -> &str {
    let bytes = text.as_bytes();
    let at = bytes.iter().take_while(|b| **b <= b' ').count();
    let end = match bytes.get(at) {
        Some(b'{' | b'[') => bytes.len(),
        Some(b'"' | b'+' | b'-' | b'0'..=b'9' | b'i' | b'I' | b'N' | b'n' | b't' | b'f') => value_end(bytes, at),
        _ => at,
    };
    text.get(at..end).unwrap_or_default()
}

/// The elements of an array; nothing for any other value.
pub fn elements(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let start = skip_space(bytes, 0);
    let mut at = if bytes.get(start) == Some(&b'[') { start + 1 } else { bytes.len() };
    std::iter::from_fn(move || {
        at = next_item(bytes, at);
        if matches!(bytes.get(at), None | Some(b']')) {
            return None;
        }
        let start = at;
        at = value_end(bytes, at);
        text.get(start..at)
    })
}

/// The members of an object, each key as its raw string; nothing for any other value.
pub fn members(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let bytes = text.as_bytes();
    let start = skip_space(bytes, 0);
    let mut at = if bytes.get(start) == Some(&b'{') { start + 1 } else { bytes.len() };
    std::iter::from_fn(move || {
        at = next_item(bytes, at);
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let key = at;
        let key_stop = string_end(bytes, at + 1).0;
        let value = key_end(bytes, key_stop);
        at = value_end(bytes, value);
        Some((text.get(key..key_stop)?, text.get(value..at)?))
    })
}

fn next_item(bytes: &[u8], at: usize) -> usize {
    let at = skip_space(bytes, at);
    if bytes.get(at) == Some(&b',') { skip_space(bytes, at + 1) } else { at }
}
