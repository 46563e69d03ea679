//! Templates in the syntax of Go's `text/template`, with a choice of sprig's functions.
//!
//! A template is parsed once; unknown functions and variables, wrong numbers of arguments and open blocks are refused then. It
//! sees one value, `.Input`. There is nothing outside of it: no files, no environment, no clock, no random numbers,
//! and no templates that call templates, so nothing recurs; loops run over values that are there. A run is metered: [`MAX_STEPS`]
//! bounds its time, the text that it makes and the values that it holds.
//!
//! Differences from Go are choices: numbers are written as they stand in the JSON (Go makes `1e+06` of 1000000), containers are
//! written as JSON (Go: `map[a:1]`), numbers of all kinds compare with each other, and a function that cannot do its
//! work fails (sprig's make 0, or the text of the error, of it).

mod functions;
mod lex;
mod parse;
mod run;
mod value;

use std::fmt;
use std::sync::Arc;

use super::Cause;
use super::slip::Slip;
use crate::api::{FieldPath, Problems};

/// The longest template taken, in bytes.
pub const MAX_LEN: usize = 16 << 10;

/// What one run may cost. A node or an argument costs one, a byte of new text one, a value of a list sixteen, and 64 bytes that are
/// searched, copied or compared one: some milliseconds, a megabyte of text.
pub const MAX_STEPS: usize = 1_000_000;

/// How deep blocks and brackets go: parser and runs recur as deep.
pub const MAX_DEPTH: usize = 32;

/// What Go writes for a value that is not there.
const NO_VALUE: &str = "<no value>";

/// A template that was parsed. Cloning shares it.
#[derive(Clone)]
pub struct Template(Arc<Parsed>);

struct Parsed {
    text: Box<str>,
    nodes: Vec<parse::Node>,
}

/// Why a run has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// In words, which may quote the data.
    Failed(String),
    /// It costs more than [`MAX_STEPS`].
    TooCostly,
    /// It makes nothing, or only a value that is not there.
    Empty,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) => f.write_str(message),
            Self::TooCostly => f.write_str("it meets a limit"),
            Self::Empty => f.write_str("it makes nothing"),
        }
    }
}

impl Halt {
    pub(super) const fn cause(&self) -> Cause {
        match self {
            Self::Failed(_) => Cause::Template,
            Self::TooCostly => Cause::TooCostly,
            Self::Empty => Cause::MissingValue,
        }
    }
}

/// What a template sees as `.Input`.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Text(&'a str),
    /// JSON that was checked.
    Json(&'a str),
}

impl Template {
    /// Parses the template at `path`; nothing when a problem was found.
    pub fn compile(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let refused = |slip: Slip| slip.refuse(text, path, problems);
        Self::parse(text).map_err(refused).ok()
    }

    fn parse(text: &str) -> Result<Self, Slip> {
        if text.len() > MAX_LEN {
            return Err(Slip::new(0, format!("a template is at most {MAX_LEN} bytes long, this one {}", text.len())));
        }
        let nodes = parse::parse(text)?;
        Ok(Self(Arc::new(Parsed { text: text.into(), nodes })))
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// What the template makes of `input`.
    ///
    /// # Errors
    /// When it fails, meets a limit, or makes nothing.
    pub fn render(&self, input: Input<'_>) -> Result<String, Halt> {
        let made = run::render(&self.0.nodes, input)?;
        if made.is_empty() || made == NO_VALUE { Err(Halt::Empty) } else { Ok(made) }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.0.text).finish()
    }
}

#[cfg(test)]
mod tests;
