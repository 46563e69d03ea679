//! Classes: what stands in square brackets.

use super::translate::{Rest, literal_escape};

/// The names that stand between `[:` and `:]`.
const POSIX: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// The members of `\d` and its like, for the inside of a class; RE2 knows only the ASCII ones.
pub(super) fn perl(letter: char) -> &'static str {
    match letter {
        'd' => "0-9",
        'D' => "^0-9",
        's' => r"\t\n\x0C\r ",
        'S' => r"^\t\n\x0C\r ",
        'w' => "0-9A-Za-z_",
        _ => "^0-9A-Za-z_",
    }
}

/// A class of Unicode: `\pL`, `\p{Greek}`, `\P{^Lu}`; `letter` is the `p`.
pub(super) fn unicode(letter: char, rest: &mut Rest<'_>) -> Result<String, String> {
    const WRONG: &str = "\\p is followed by one letter, or by a name in {}";
    let name = match rest.next() {
        Some('{') => {
            let name: String = rest.clone().take_while(|c| *c != '}').collect();
            let _consumed = rest.nth(name.chars().count());
            name
        }
        Some(c) => c.to_string(),
        None => return Err(WRONG.to_owned()),
    };
    let (negated, name) = name.strip_prefix('^').map_or((false, name.as_str()), |name| (true, name));
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(WRONG.to_owned());
    }
    let letter = if (letter == 'P') == negated { 'p' } else { 'P' };
    Ok(format!(r"\{letter}{{{name}}}"))
}

/// One end of a range, or a whole class.
enum Item {
    Char(char),
    Class(String),
}

/// Reads a class after its opening bracket and writes it so that nothing in it means a set
/// operation: `[`, `&&`, `--` and `~~` are plain characters in RE2.
pub(super) fn read(rest: &mut Rest<'_>) -> Result<String, String> {
    const OPEN: &str = "a class is not closed with ]";
    let mut out = String::from("[");
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    loop {
        let c = rest.next().ok_or(OPEN)?;
        if c == ']' && !first {
            out.push(']');
            return Ok(out);
        }
        first = false;
        let low = match item(c, rest)? {
            Item::Class(class) => {
                out.push_str(&class);
                continue;
            }
            Item::Char(c) => c,
        };
        let mut ahead = rest.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            rest.next();
            let c = rest.next().ok_or(OPEN)?;
            let Item::Char(high) = item(c, rest)? else {
                return Err("a range in a class ends with a class".to_owned());
            };
            if high < low {
                return Err(format!("the range {low}-{high} in a class ends before it begins"));
            }
            out.extend([plain(low).as_str(), "-", plain(high).as_str()]);
        } else {
            out.push_str(&plain(low));
        }
    }
}

fn item(c: char, rest: &mut Rest<'_>) -> Result<Item, String> {
    match c {
        '[' if rest.peek() == Some(&':') => {
            let name: String = rest.clone().take_while(|c| *c != ']').collect();
            if !name.ends_with(':') || name.len() < 3 {
                return Ok(Item::Char('['));
            }
            let _consumed = rest.nth(name.chars().count());
            let word = name.trim_start_matches(':').trim_start_matches('^').trim_end_matches(':');
            if !POSIX.contains(&word) {
                return Err(format!("the class [{name}] is not known; known are {}", POSIX.join(", ")));
            }
            Ok(Item::Class(format!("[{name}]")))
        }
        '\\' => match rest.next() {
            Some(letter @ ('d' | 'D' | 's' | 'S' | 'w' | 'W')) => Ok(Item::Class(format!("[{}]", perl(letter)))),
            Some(letter @ ('p' | 'P')) => unicode(letter, rest).map(Item::Class),
            Some(letter) => literal_escape(letter, rest).map(Item::Char),
            None => Err("the pattern ends with a backslash".to_owned()),
        },
        c => Ok(Item::Char(c)),
    }
}

fn plain(c: char) -> String {
    if c.is_alphanumeric() { c.to_string() } else { format!(r"\x{{{:X}}}", u32::from(c)) }
}
