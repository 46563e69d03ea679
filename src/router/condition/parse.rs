//! The text of a condition to its expression, and pointing into the text.

use super::{Expression, MAX_DEPTH, MAX_LEN};
use crate::api::problem::{alternatives, pointed};
use crate::api::{FieldPath, Problems};

/// What is wrong, and at which byte.
struct Slip {
    at: usize,
    message: String,
    help: Option<&'static str>,
}

/// Reads `text`; nothing when a problem was found.
pub(super) fn parse(text: &str, names: &[&str], path: &FieldPath, problems: &mut Problems) -> Option<Expression> {
    if text.len() > MAX_LEN {
        problems.push(path, format!("the condition is longer than {MAX_LEN} bytes"));
        return None;
    }
    let before = problems.len();
    let mut parser = Parser { text, at: 0, depth: 0, names, path, problems };
    match parser.whole() {
        Ok(expression) => (problems.len() == before).then_some(expression),
        Err(slip) => {
            let message = pointed(text, slip.at, &slip.message);
            match slip.help {
                Some(help) => problems.push_help(path, message, help),
                None => problems.push(path, message),
            }
            None
        }
    }
}

struct Parser<'t, 'p> {
    text: &'t str,
    at: usize,
    depth: usize,
    names: &'p [&'p str],
    path: &'p FieldPath,
    problems: &'p mut Problems,
}

impl Parser<'_, '_> {
    fn whole(&mut self) -> Result<Expression, Slip> {
        let expression = self.or()?;
        self.skip_blanks();
        if self.at == self.text.len() { Ok(expression) } else { Err(self.unexpected("&&, || or the end")) }
    }

    fn or(&mut self) -> Result<Expression, Slip> {
        let mut parts = vec![self.and()?];
        while self.take("||") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn and(&mut self) -> Result<Expression, Slip> {
        let mut parts = vec![self.not()?];
        while self.take("&&") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn not(&mut self) -> Result<Expression, Slip> {
        self.skip_blanks();
        let start = self.at;
        if self.take("!") {
            return self.deeper(start, |parser| Ok(parser.not()?.negate()));
        }
        if self.take("(") {
            return self.deeper(start, |parser| {
                let inside = parser.or()?;
                if parser.take(")") { Ok(inside) } else { Err(parser.unexpected("&&, || or )")) }
            });
        }
        self.name()
    }

    fn deeper(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut Self) -> Result<Expression, Slip>,
    ) -> Result<Expression, Slip> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Slip { at, message: format!("nested more than {MAX_DEPTH} deep"), help: None });
        }
        let expression = read(self);
        self.depth -= 1;
        expression
    }

    fn name(&mut self) -> Result<Expression, Slip> {
        let start = self.at;
        let word = word(&self.text[start..]);
        if word.is_empty() {
            return Err(self.unexpected("a name, ! or ("));
        }
        if matches!(word, "true" | "false") {
            let message = format!("{word} is no name; a condition says what must have arrived,");
            return Err(Slip { at: start, message, help: Some("leave it out, or name an input") });
        }
        self.at += word.len();
        let input = self.names.iter().position(|name| *name == word);
        if input.is_none() {
            let message = pointed(self.text, start, &format!("no input is named {word:?},"));
            self.problems.push_help(self.path, message, alternatives(word, self.names));
        }
        // After an unknown name only more problems are looked for.
        Ok(Expression::Input { input: input.unwrap_or_default(), negated: false })
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn unexpected(&mut self, expected: &str) -> Slip {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let found = match (word(rest), rest.chars().next()) {
            (_, None) => "the end".to_owned(),
            ("", Some(c)) => format!("{c:?}"),
            (word, _) => format!("{word:?}"),
        };
        let help = match rest.as_bytes() {
            [b'&', ..] => Some("and is written &&"),
            [b'|', ..] => Some("or is written ||"),
            _ if word(rest).eq_ignore_ascii_case("and") => Some("and is written &&"),
            _ if word(rest).eq_ignore_ascii_case("or") => Some("or is written ||"),
            _ => None,
        };
        Slip { at: self.at, message: format!("expected {expected}, found {found}"), help }
    }
}

/// The name with which `text` begins.
fn word(text: &str) -> &str {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-')).unwrap_or(text.len());
    if begins { &text[..end] } else { "" }
}
