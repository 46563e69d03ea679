//! RE2 syntax, as Go's `regexp` reads it, to the syntax of the crate `regex`.

use std::iter::Peekable;
use std::str::Chars;

use super::class;

/// The highest repeat count that Go takes.
const MAX_REPEAT: u32 = 1000;

/// The result of a translation.
#[derive(Debug)]
pub(super) struct Translated {
    pub regex: String,
    /// The text looked for, when the pattern has no operator.
    pub literal: Option<String>,
}

pub(super) fn pattern(source: &str) -> Result<Translated, String> {
    let mut translator = Translator {
        chars: source.chars().peekable(),
        out: String::with_capacity(source.len() + 16),
        literal: Some(String::new()),
        after_repeat: false,
    };
    while let Some(c) = translator.chars.next() {
        translator.one(c)?;
    }
    Ok(Translated { regex: translator.out, literal: translator.literal })
}

/// The rest of the pattern, which is looked ahead into by cloning.
pub(super) type Rest<'s> = Peekable<Chars<'s>>;

struct Translator<'s> {
    chars: Rest<'s>,
    out: String,
    literal: Option<String>,
    /// Whether the last thing read was a repeat; Go refuses a repeat of a repeat.
    after_repeat: bool,
}

impl Translator<'_> {
    fn one(&mut self, c: char) -> Result<(), String> {
        let after_repeat = std::mem::take(&mut self.after_repeat);
        match c {
            '*' | '+' | '?' => self.repeat(&c.to_string(), after_repeat)?,
            '{' => match counted(&self.chars) {
                Some(count) => {
                    let text: String = self.chars.by_ref().take(count.len).collect();
                    count.check()?;
                    self.repeat(&format!("{{{text}"), after_repeat)?;
                }
                None => self.push_literal('{'),
            },
            '[' => {
                let class = class::read(&mut self.chars)?;
                self.push_operator(&class);
            }
            '(' => self.group()?,
            '\\' => self.escape()?,
            ')' | '|' | '.' | '^' | '$' => self.push_operator(c.encode_utf8(&mut [0; 4])),
            literal => self.push_literal(literal),
        }
        Ok(())
    }

    fn push_literal(&mut self, c: char) {
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        if let Some(literal) = &mut self.literal {
            literal.push(c);
        }
    }

    fn push_operator(&mut self, text: &str) {
        self.out.push_str(text);
        self.literal = None;
    }

    fn repeat(&mut self, operator: &str, after_repeat: bool) -> Result<(), String> {
        if after_repeat {
            return Err(format!("a repeat of a repeat, {operator:?} after another one, is not allowed; use brackets"));
        }
        self.push_operator(operator);
        if self.chars.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        self.after_repeat = true;
        Ok(())
    }

    /// What follows an opening bracket.
    fn group(&mut self) -> Result<(), String> {
        self.push_operator("(");
        if self.chars.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        let mut ahead = self.chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('=' | '!'), _) | (Some('<'), Some('=' | '!')) => {
                return Err("look-around is not supported".to_owned());
            }
            (Some('P'), Some('<')) | (Some('<'), _) => {
                self.out.push('?');
                for c in self.chars.by_ref() {
                    self.out.push(c);
                    if c == '>' {
                        return Ok(());
                    }
                }
                return Err("the name of a group is not closed".to_owned());
            }
            _ => {}
        }
        self.out.push('?');
        for c in self.chars.by_ref() {
            self.out.push(c);
            match c {
                ':' | ')' => return Ok(()),
                'i' | 'm' | 's' | 'U' | '-' => {}
                other => return Err(format!("the flag {other:?} of a group is not known; known are i, m, s and U")),
            }
        }
        Err("a group is not closed".to_owned())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(c) = self.chars.next() else {
            return Err("the pattern ends with a backslash".to_owned());
        };
        match c {
            'b' => self.push_operator(r"(?-u:\b)"),
            'B' => self.push_operator(r"(?-u:\B)"),
            'A' => self.push_operator(r"\A"),
            'z' => self.push_operator(r"\z"),
            'Q' => self.quoted(),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.push_operator(&format!("[{}]", class::perl(c))),
            'p' | 'P' => {
                let class = class::unicode(c, &mut self.chars)?;
                self.push_operator(&class);
            }
            _ => {
                let literal = literal_escape(c, &mut self.chars)?;
                self.push_literal(literal);
            }
        }
        Ok(())
    }

    /// Everything up to `\E` is literal.
    fn quoted(&mut self) {
        while let Some(c) = self.chars.next() {
            if c == '\\' && self.chars.next_if_eq(&'E').is_some() {
                return;
            }
            self.push_literal(c);
        }
    }
}

/// The character of an escape that stands for one; `first` follows the backslash.
pub(super) fn literal_escape(first: char, rest: &mut Rest<'_>) -> Result<char, String> {
    let code = match first {
        'a' => 0x07,
        'f' => 0x0C,
        't' => 0x09,
        'n' => 0x0A,
        'r' => 0x0D,
        'v' => 0x0B,
        'x' => hexadecimal(rest)?,
        // \1 to \7 are octal only when another octal digit follows; alone they refer back.
        '1'..='7' if !matches!(rest.peek(), Some('0'..='7')) => {
            return Err("references back to a group are not supported".to_owned());
        }
        '8' | '9' => return Err("references back to a group are not supported".to_owned()),
        '0'..='7' => {
            let mut code = u32::from(first) - u32::from('0');
            for _ in 0..2 {
                let Some(digit) = rest.next_if(|c| matches!(c, '0'..='7')) else { break };
                code = code * 8 + u32::from(digit) - u32::from('0');
            }
            code
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => return Ok(c),
        other => return Err(format!("the escape \\{other} is not known")),
    };
    char::from_u32(code).ok_or_else(|| format!("\\x{{{code:X}}} is no character"))
}

fn hexadecimal(rest: &mut Rest<'_>) -> Result<u32, String> {
    const WRONG: &str = "\\x is followed by two hexadecimal digits, or by more of them in {}";
    let (digits, lengths): (String, _) = if rest.next_if_eq(&'{').is_some() {
        (rest.by_ref().take_while(|c| *c != '}').collect(), 1..=6)
    } else {
        (rest.by_ref().take(2).collect(), 2..=2)
    };
    let valid = lengths.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if valid { u32::from_str_radix(&digits, 16).map_err(|_| WRONG.to_owned()) } else { Err(WRONG.to_owned()) }
}

/// A repeat count after its opening brace.
struct Counted {
    /// Characters up to and with the closing brace.
    len: usize,
    min: u32,
    max: Option<u32>,
}

impl Counted {
    fn check(&self) -> Result<(), String> {
        let most = self.max.unwrap_or(self.min);
        if self.min > MAX_REPEAT || most > MAX_REPEAT {
            return Err(format!("a repeat count is at most {MAX_REPEAT}"));
        }
        if self.min > most { Err("a repeat count ends before it begins".to_owned()) } else { Ok(()) }
    }
}

/// `{n}`, `{n,}` or `{n,m}`; anything else after a brace makes the brace literal.
fn counted(rest: &Rest<'_>) -> Option<Counted> {
    let inside: String = rest.clone().take_while(|c| *c != '}').collect();
    if rest.clone().nth(inside.chars().count()) != Some('}') {
        return None;
    }
    let number = |text: &str| {
        // A leading zero makes it no count.
        let padded = text.len() > 1 && text.starts_with('0');
        let digits = !text.is_empty() && !padded && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u32>().unwrap_or(u32::MAX))
    };
    let (min, max) = match inside.split_once(',') {
        None => (number(&inside)?, None),
        Some((min, "")) => (number(min)?, None),
        Some((min, max)) => (number(min)?, Some(number(max)?)),
    };
    Some(Counted { len: inside.len() + 1, min, max })
}
