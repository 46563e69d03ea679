//! Slips of the pen: texts that are paths by the letter but find nothing for ever.

use super::compile::{Refused, split_query};

/// Refuses what can only be a slip.
pub(super) fn check(text: &str) -> Result<(), Refused> {
    if text.starts_with("$.") || text.starts_with("$[") || text == "$" {
        let dotted = text.trim_start_matches(['$', '.']);
        return Err(Refused::new("this is JSONPath, which is not understood").with_help(format!(
            "write the keys with dots, as in {dotted:?}; a key that begins with $ is written \\$"
        )));
    }
    if text.contains("@pretty") && uses_pretty(text) {
        return Err(Refused::new("the modifier @pretty is not supported").with_help("leave it out, or use @ugly"));
    }
    let mut part = text;
    loop {
        let end = part_end(part)?;
        component(&part[..end], text)?;
        match part[end..].chars().next() {
            None => return Ok(()),
            Some(_) => part = &part[end + 1..],
        }
    }
}

fn uses_pretty(text: &str) -> bool {
    text.match_indices("@pretty").any(|(at, word)| {
        let before = at.checked_sub(1).map(|at| text.as_bytes()[at]);
        let after = text.as_bytes().get(at + word.len());
        matches!(before, None | Some(b'.' | b'|' | b'[' | b'{' | b',' | b':'))
            && matches!(after, None | Some(b'.' | b'|' | b':' | b']' | b'}' | b','))
    })
}

/// Where the component with which `part` begins ends: at a dot or pipe outside brackets.
fn part_end(part: &str) -> Result<usize, Refused> {
    let bytes = part.as_bytes();
    if part.starts_with("#(") || part.starts_with("#[") {
        let Some(query) = split_query(part) else {
            return Err(Refused::new(format!("the query {part:?} is not closed"))
                .with_help("close its bracket and quotes; a key that begins with # is written \\#"));
        };
        return Ok(query.end + bytes[query.end..].iter().take_while(|b| !matches!(b, b'.' | b'|')).count());
    }
    if part.starts_with(['[', '{', '@', '!']) {
        // What modifiers and multipaths enclose is not looked into; the rest follows the last bracket.
        return Ok(bytes.len());
    }
    let mut at = 0;
    while at < bytes.len() && !matches!(bytes[at], b'.' | b'|') {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    Ok(at.min(bytes.len()))
}

fn component(word: &str, text: &str) -> Result<(), Refused> {
    if word.is_empty() && !text.starts_with("..") {
        return Err(Refused::new("a key of the path is empty, so that nothing is found")
            .with_help("remove the dot or pipe at the start, at the end, or beside another one"));
    }
    if word.starts_with(['[', '{']) && !text.contains(['}', ']']) {
        return Err(Refused::new("a multipath is not closed")
            .with_help("write [a,b] or {a,b}; a key that begins with a bracket is written \\["));
    }
    if word.starts_with('@') || word.starts_with('!') || word.starts_with(['#', '[', '{']) {
        return Ok(());
    }
    if let Some((name, inside)) = word.strip_suffix(']').and_then(|word| word.split_once('[')) {
        let index = !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_digit());
        let quoted = inside.starts_with(['\'', '"']);
        if index || quoted {
            let inside = inside.trim_matches(['\'', '"']);
            return Err(Refused::new(format!("{word:?} is JSONPath, which is not understood"))
                .with_help(format!("write {name}.{inside}; a bracket that belongs to the key is written \\[")));
        }
    }
    if word.contains(',') && !word.contains("\\,") {
        return Err(Refused::new(format!("{word:?} names one key with a comma in it, not several paths")).with_help(
            "several paths are written in brackets, [a,b]; a comma that belongs to the key is written \\,",
        ));
    }
    Ok(())
}
