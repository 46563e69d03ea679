//! The text of an expression to its tokens.

use super::super::slip::Slip;

/// One token and the byte at which it begins.
#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub at: usize,
    pub lexeme: Lexeme<'t>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lexeme<'t> {
    /// A keyword, an attribute or a function: letters, digits and `_`, not digits alone.
    Word(&'t str),
    /// Digits alone.
    Number(&'t str),
    /// A literal text without its quotes.
    Text(String),
    Symbol(&'static str),
    End,
}

impl Token<'_> {
    /// The keyword that this is, in upper case.
    pub fn keyword(&self) -> Option<&'static str> {
        match self.lexeme {
            Lexeme::Word(word) => KEYWORDS.iter().find(|keyword| keyword.eq_ignore_ascii_case(word)).copied(),
            _ => None,
        }
    }
}

/// Words that are no names.
const KEYWORDS: &[&str] = &["AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE"];

/// Longer ones before their beginnings.
const SYMBOLS: &[&str] = &["!=", "<>", "<=", ">=", "(", ")", ",", "=", "<", ">", "+", "-", "*", "/", "%"];

/// What people write who come from other languages.
const FOREIGN: &[(&str, &str)] =
    &[("&&", "and is written AND"), ("||", "or is written OR"), ("!", "not is written NOT")];

/// All tokens of `text`; the last one is [`Lexeme::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Slip> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += blanks(&text[at..]);
        let rest = &text[at..];
        let (lexeme, length) = match rest.as_bytes().first() {
            None => {
                tokens.push(Token { at, lexeme: Lexeme::End });
                return Ok(tokens);
            }
            Some(b'\'' | b'"') => literal(rest, at)?,
            Some(b) if b.is_ascii_alphanumeric() || *b == b'_' => word(rest),
            Some(_) => symbol(rest, at)?,
        };
        tokens.push(Token { at, lexeme });
        at += length;
    }
}

/// Blanks are exactly these four.
fn blanks(text: &str) -> usize {
    text.bytes().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count()
}

fn word(text: &str) -> (Lexeme<'_>, usize) {
    let length = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let word = &text[..length];
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    (if digits { Lexeme::Number(word) } else { Lexeme::Word(word) }, length)
}

fn symbol(text: &str, at: usize) -> Result<(Lexeme<'_>, usize), Slip> {
    if text.starts_with("==") {
        return Err(Slip::new(at, "equality is one =, found two"));
    }
    if let Some(symbol) = SYMBOLS.iter().find(|symbol| text.starts_with(**symbol)) {
        return Ok((Lexeme::Symbol(symbol), symbol.len()));
    }
    let found = text.chars().next().unwrap_or_default();
    let slip = Slip::new(at, format!("{found:?} is not part of the language,"));
    Err(match FOREIGN.iter().find(|(foreign, _)| text.starts_with(foreign)) {
        Some((_, help)) => slip.help(*help),
        None => slip,
    })
}

/// A text in quotes. A backslash takes the next character with it, and goes when that is the
/// quote; every other backslash stays (a pattern needs them).
fn literal(text: &str, at: usize) -> Result<(Lexeme<'_>, usize), Slip> {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('\'', |(_, quote)| quote);
    let mut out = String::new();
    while let Some((position, c)) = chars.next() {
        if c == quote {
            let length = position + 1;
            if text[length..].starts_with(quote) {
                let help = format!("inside a text write \\{quote}");
                return Err(Slip::new(at + length, "one quote follows another").help(help));
            }
            return Ok((Lexeme::Text(out), length));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some((_, escaped)) if escaped == quote => out.push(quote),
            Some((_, other)) => out.extend(['\\', other]),
            None => break,
        }
    }
    Err(Slip::new(at, format!("the text that begins with {quote} does not end, it began")))
}
