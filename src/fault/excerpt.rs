//! The beginning of foreign bytes, made fit for logs and dead letters.

/// At most `limit` bytes of `bytes` as text: what is not UTF-8 is replaced, a character that the
/// limit cuts is left out, and control characters go, so that nobody writes lines of their own into
/// our log.
pub fn excerpt(bytes: &[u8], limit: usize) -> String {
    let mut end = bytes.len().min(limit);
    // The bytes after the first of a UTF-8 character are 0b10xxxxxx; there are three at most.
    let first_of_last = (end.saturating_sub(3)..=end).rev().find(|&at| bytes.get(at).is_some_and(|b| b & 0xC0 != 0x80));
    if let (true, Some(boundary)) = (end < bytes.len(), first_of_last) {
        end = boundary;
    }
    String::from_utf8_lossy(&bytes[..end]).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_printable_text() {
        let check = |bytes: &[u8], limit: usize, expected: &str| assert_eq!(excerpt(bytes, limit), expected);
        check(b"", 4, "");
        check(b"abc", 4, "abc");
        check(b"abcdef", 4, "abcd");
        check("ab€".as_bytes(), 4, "ab");
        check("ab€".as_bytes(), 5, "ab€");
        check("€€".as_bytes(), 3, "€");
        check(b"a\r\n\x1b[31mb\x7f", 64, "a[31mb");
        check(b"a\xFFb", 64, "a\u{FFFD}b");
        check(b"\x80\x80\x80\x80\x80\x80", 5, "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}");
    }
}
