//! The text of an expression to its tokens.

use super::super::slip::Slip;

/// One token and the byte at which it begins.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub at: usize,
    pub lexeme: Lexeme,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lexeme {
    /// A field, `true`, `false` or `in`.
    Word(String),
    /// A field, for it stands in brackets or holds an escape.
    Name(String),
    Number(f64),
    /// A literal text without its quotes.
    Text(String),
    Symbol(&'static str),
    End,
}

/// Longer ones before their beginnings.
const SYMBOLS: &[&str] = &[
    "**", "<<", ">>", "==", "!=", ">=", "<=", "=~", "!~", "&&", "||", "??", "+", "-", "*", "/", "%", "&", "|", "^",
    "~", "!", "<", ">", "?", ":", "(", ")", ",",
];

/// All tokens of `text`; the last one is [`Lexeme::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Slip> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        let (lexeme, length) = match rest.chars().next() {
            None => {
                tokens.push(Token { at, lexeme: Lexeme::End });
                return Ok(tokens);
            }
            Some('\'' | '"') => literal(rest, at)?,
            Some('[') => bracketed(rest, at)?,
            Some(c) if c.is_ascii_digit() || c == '.' => number(rest, at)?,
            Some(c) if c.is_alphabetic() || c == '_' => word(rest, at)?,
            Some(c) => symbol(rest, c, at)?,
        };
        tokens.push(Token { at, lexeme });
        at += length;
    }
}

/// A text in quotes. A backslash stands before a quote or a backslash; govaluate drops every other
/// one without a word, so that `\d` would look for the letter.
fn literal(text: &str, at: usize) -> Result<(Lexeme, usize), Slip> {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('\'', |(_, quote)| quote);
    let mut out = String::new();
    while let Some((position, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok((Lexeme::Text(out), position + 1)),
            '\\' => match chars.next() {
                Some((_, escaped @ ('\'' | '"' | '\\'))) => out.push(escaped),
                Some((_, other)) => {
                    let help = format!("for a backslash and {other:?} write \\\\{other}");
                    return Err(
                        Slip::new(at + position, "a backslash stands before a quote or a backslash,").help(help)
                    );
                }
                None => break,
            },
            other => out.push(other),
        }
    }
    Err(Slip::new(at, format!("the text that begins with {quote} does not end, it began")))
}

/// A name in square brackets, in which a backslash takes the next character as it is.
fn bracketed(text: &str, at: usize) -> Result<(Lexeme, usize), Slip> {
    let mut chars = text.char_indices().skip(1);
    let mut out = String::new();
    while let Some((position, c)) = chars.next() {
        match c {
            ']' => return Ok((Lexeme::Name(out), position + 1)),
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            other => out.push(other),
        }
    }
    Err(Slip::new(at, "the name in brackets does not end, it began"))
}

/// A name without brackets: letters, digits, `_`, dots, and anything after a backslash.
fn word(text: &str, at: usize) -> Result<(Lexeme, usize), Slip> {
    let mut chars = text.char_indices();
    let (mut out, mut escaped) = (String::new(), false);
    let length = loop {
        match chars.next() {
            Some((position, '\\')) => {
                escaped = true;
                let Some((_, c)) = chars.next() else {
                    return Err(Slip::new(at + position, "a backslash has nothing after it"));
                };
                out.push(c);
            }
            Some((_, c)) if c.is_alphanumeric() || matches!(c, '_' | '.') => out.push(c),
            Some((position, _)) => break position,
            None => break text.len(),
        }
    };
    Ok((if escaped { Lexeme::Name(out) } else { Lexeme::Word(out) }, length))
}

/// Digits with at most one dot, or `0x` and hexadecimal digits.
fn number(text: &str, at: usize) -> Result<(Lexeme, usize), Slip> {
    let length = text.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap_or(text.len());
    let written = &text[..length];
    let number = match written.strip_prefix("0x") {
        #[expect(clippy::cast_precision_loss, reason = "all numbers of the language are 64 bit floats")]
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|number| number as f64),
        None if written.bytes().all(|b| b.is_ascii_digit() || b == b'.') => written.parse().ok(),
        None => None,
    };
    match number {
        Some(number) => Ok((Lexeme::Number(number), length)),
        None => Err(Slip::new(at, format!("{written:?} is no number")).help("digits with a dot, or 0x and digits")),
    }
}

fn symbol(text: &str, first: char, at: usize) -> Result<(Lexeme, usize), Slip> {
    match SYMBOLS.iter().find(|symbol| text.starts_with(**symbol)) {
        // `===` would otherwise be an equality and a second, lone sign.
        Some(symbol) if !text.starts_with("===") => Ok((Lexeme::Symbol(symbol), symbol.len())),
        _ if first == '=' => Err(Slip::new(at, "equality is ==, found another number of signs")),
        _ => Err(Slip::new(at, format!("{first:?} is not part of the language,"))),
    }
}
