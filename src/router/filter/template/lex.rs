//! A template in pieces: text, and actions as tokens.

use super::super::slip::Slip;

/// What Go takes for space between tokens, and trims.
const SPACE: &[char] = &[' ', '\t', '\r', '\n'];

#[derive(Debug)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    /// What stands between `{{` and `}}`.
    Action(Action),
}

#[derive(Debug)]
pub(super) struct Action {
    /// Where it begins.
    pub at: usize,
    pub tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub at: usize,
    pub kind: Kind,
    /// Whether space is in front of it: `.a.b` is one value, `.a .b` are two.
    pub spaced: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Dot,
    /// `.name`.
    Field(String),
    /// `$name`, or `$`; without the sign.
    Variable(String),
    Word(String),
    Text(String),
    Int(i64),
    Float(f64),
    Open,
    Close,
    Pipe,
    Comma,
    /// `:=`.
    Declare,
    /// `=`.
    Assign,
}

/// Takes the template apart.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Slip> {
    let mut pieces = Vec::new();
    let (mut at, mut trim) = (0, false);
    loop {
        let open = text[at..].find("{{").map(|found| at + found);
        let mut before = &text[at..open.unwrap_or(text.len())];
        if trim {
            before = before.trim_start_matches(SPACE);
        }
        let Some(open) = open else {
            push(&mut pieces, before);
            return Ok(pieces);
        };
        let mut inner = open + 2;
        if text[inner..].strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACE)) {
            before = before.trim_end_matches(SPACE);
            inner += 1;
        }
        push(&mut pieces, before);
        let comment = text[inner..].trim_start_matches(SPACE);
        if comment.starts_with("/*") {
            (at, trim) = skip_comment(text, open, text.len() - comment.len())?;
            continue;
        }
        let mut lexer = Lexer { text, open, at: inner };
        let tokens = lexer.tokens()?;
        pieces.push(Piece::Action(Action { at: open, tokens: tokens.0 }));
        (at, trim) = (lexer.at, tokens.1);
    }
}

fn push<'t>(pieces: &mut Vec<Piece<'t>>, text: &'t str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// Where the text goes on after the comment at `start`, and whether its space is trimmed.
fn skip_comment(text: &str, open: usize, start: usize) -> Result<(usize, bool), Slip> {
    let end = text[start..].find("*/").ok_or_else(|| Slip::new(open, "this comment is not closed"))?;
    let rest = &text[start + end + 2..];
    let close = rest.find("}}").ok_or_else(|| Slip::new(open, "\"{{\" is not closed"))?;
    let at = start + end + 2 + close + 2;
    match rest[..close].trim_matches(SPACE) {
        "" => Ok((at, false)),
        "-" if rest[..close].ends_with('-') && rest.starts_with(SPACE) => Ok((at, true)),
        _ => Err(Slip::new(start + end + 2, "a comment stands alone between \"{{\" and \"}}\"")),
    }
}

struct Lexer<'t> {
    text: &'t str,
    /// Where the action begins.
    open: usize,
    at: usize,
}

impl Lexer<'_> {
    /// The tokens up to `}}`, and whether space after it is trimmed.
    fn tokens(&mut self) -> Result<(Vec<Token>, bool), Slip> {
        let mut tokens: Vec<Token> = Vec::new();
        loop {
            let rest = self.text[self.at..].trim_start_matches(SPACE);
            let start = self.text.len() - rest.len();
            let spaced = start > self.at;
            self.at = start;
            if rest.is_empty() {
                return Err(Slip::new(self.open, "\"{{\" is not closed"));
            }
            if rest.starts_with("}}") {
                self.at += 2;
                return Ok((tokens, false));
            }
            if spaced && rest.starts_with("-}}") {
                self.at += 3;
                return Ok((tokens, true));
            }
            let after_field = matches!(tokens.last(), Some(Token { kind: Kind::Field(_), .. })) && !spaced;
            let kind = self.token(rest, after_field)?;
            tokens.push(Token { at: start, kind, spaced });
        }
    }

    fn token(&mut self, rest: &str, after_field: bool) -> Result<Kind, Slip> {
        let at = self.at;
        let first = rest.chars().next().unwrap_or_default();
        let second = rest[first.len_utf8()..].chars().next().unwrap_or_default();
        let (kind, length) = match first {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            '|' => (Kind::Pipe, 1),
            ',' => (Kind::Comma, 1),
            ':' if second == '=' => (Kind::Declare, 2),
            '=' => (Kind::Assign, 1),
            '"' => return self.quoted(rest),
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| Slip::new(at, "this text is not closed"))?;
                (Kind::Text(rest[1..=end].to_owned()), end + 2)
            }
            '\'' => return Err(Slip::new(at, "texts stand in double quotes or backticks")),
            '.' if second.is_ascii_digit() && after_field => {
                return Err(Slip::new(at, "a key that is a number cannot stand here").help("write (index .list 0)"));
            }
            '.' if !second.is_ascii_digit() => {
                let name = word(&rest[1..]);
                let kind = if name.is_empty() { Kind::Dot } else { Kind::Field(name.to_owned()) };
                (kind, 1 + name.len())
            }
            '$' => (Kind::Variable(word(&rest[1..]).to_owned()), 1 + word(&rest[1..]).len()),
            '.' | '+' | '-' | '0'..='9' => return self.number(rest),
            _ if is_letter(first) => (Kind::Word(word(rest).to_owned()), word(rest).len()),
            other => return Err(Slip::new(at, format!("{other:?} means nothing here"))),
        };
        self.at += length;
        Ok(kind)
    }

    fn number(&mut self, rest: &str) -> Result<Kind, Slip> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        let end = rest.find(|c: char| !inner(c)).unwrap_or(rest.len());
        let text = rest[..end].replace('_', "");
        let wrong = || Slip::new(self.at, format!("{:?} is no number", &rest[..end]));
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let kind = match hex {
            Some(digits) => Kind::Int(i64::from_str_radix(digits, 16).map_err(|_| wrong())?),
            None => match text.parse::<i64>() {
                Ok(number) => Kind::Int(number),
                Err(_) => Kind::Float(text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(wrong)?),
            },
        };
        self.at += end;
        Ok(kind)
    }

    /// A text in double quotes, with Go's escapes.
    fn quoted(&mut self, rest: &str) -> Result<Kind, Slip> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(Kind::Text(text));
                }
                '\n' => break,
                '\\' => {
                    let wrong =
                        || Slip::new(start + at, "an escape that is not known").help("\\n \\t \\r \\\\ \\\" \\u00e9");
                    let (_, escaped) = chars.next().ok_or_else(wrong)?;
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        '\\' | '"' => escaped,
                        'u' => {
                            let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                            let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                            code.and_then(char::from_u32).ok_or_else(wrong)?
                        }
                        _ => return Err(wrong()),
                    });
                }
                other => text.push(other),
            }
        }
        Err(Slip::new(start, "this text is not closed"))
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// The letters, digits and underscores with which `text` begins.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !is_letter(c) && !c.is_numeric()).unwrap_or(text.len());
    &text[..end]
}
