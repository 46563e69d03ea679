//! Text patterns: RE2 expressions, searched anywhere in a text.
//!
//! Argo Events reads them with Go's `regexp`. The crate `regex` differs in details, so a pattern
//! is [`translate`]d: what means something else here is rewritten, and what Go refuses is refused.

mod class;
mod translate;

use memchr::memmem;
use regex::{Regex, RegexBuilder};

/// The memory that one compiled pattern may take; the largest real ones stay far below.
const SIZE_LIMIT: usize = 1 << 20;

/// The depth of groups; far more than people write, and it bounds the compiler's recursion.
const NEST_LIMIT: u32 = 64;

/// The longest pattern taken, in bytes.
pub const MAX_LEN: usize = 4096;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: Box<str>,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// A pattern without any operator: the text it looks for.
    Literal(Box<memmem::Finder<'static>>),
    Regex(Regex),
}

impl Pattern {
    /// Compiles `source`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn compile(source: &str) -> Result<Self, String> {
        if source.len() > MAX_LEN {
            return Err(format!("the pattern is longer than {MAX_LEN} bytes"));
        }
        let translated = translate::pattern(source)?;
        let matcher = match translated.literal {
            Some(literal) => Matcher::Literal(Box::new(memmem::Finder::new(&literal).into_owned())),
            None => RegexBuilder::new(&translated.regex)
                .size_limit(SIZE_LIMIT)
                .nest_limit(NEST_LIMIT)
                .build()
                .map(Matcher::Regex)
                .map_err(|error| reason(&error))?,
        };
        Ok(Self { source: source.into(), matcher })
    }

    pub fn matches(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Literal(finder) => finder.find(text.as_bytes()).is_some(),
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }

    /// The text that must occur, when that is all the pattern says.
    pub fn literal(&self) -> Option<&[u8]> {
        match &self.matcher {
            Matcher::Literal(finder) => Some(finder.needle()),
            Matcher::Regex(_) => None,
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

/// The last line of an error of the regex crate: the earlier ones draw the translated pattern,
/// which is not what was written.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => format!("the pattern takes more than {SIZE_LIMIT} bytes of memory"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
