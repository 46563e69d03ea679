//! Lua scripts over the data of an event. Each run begins with nothing but the event, ends within
//! limits, and touches nothing outside.
//!
//! A script is one chunk of Lua 5.1 with the global `event`. It has `string`, `table`, `math` and
//! the harmless part of the base functions, each run its own copies: nothing that one run writes is
//! there in the next. There are no files, processes, environment, modules, bytecode, coroutines,
//! random numbers, and no `pcall`, which could catch the end of a run at its limit.
//!
//! Three limits hold for each run: [`MAX_STEPS`], [`MAX_MEMORY`], and [`MAX_TIME`] for what one step can
//! do at length. States are not shared between threads: a run takes one out of the pool of its
//! script, and one that met a limit is not put back.

mod pattern;
mod sandbox;
mod text;
mod value;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mlua::Value;

use sandbox::Sandbox;

/// The longest script taken, in bytes.
pub const MAX_LEN: usize = 16 << 10;

/// Instructions of the Lua machine in one run, and steps of the patterns in it: some milliseconds.
pub const MAX_STEPS: u64 = 1_000_000;

/// The memory of one state, in bytes: a megabyte of JSON as tables, and room to work with it.
pub const MAX_MEMORY: usize = 32 << 20;

/// How long a run may take. Far beyond what [`MAX_STEPS`] cost, so that it ends only what does much in
/// few steps, such as joining long texts; a machine that is busy elsewhere must not change a verdict.
pub const MAX_TIME: Duration = Duration::from_secs(2);

/// The longest result of a transform, in bytes of JSON.
pub const MAX_RESULT: usize = 1 << 20;

/// States kept ready for one script; more threads than that rarely run it at the same time.
const POOL: usize = 16;

/// A script that compiles. Cloning would share nothing: keep it behind an `Arc`.
pub struct Script {
    text: Box<str>,
    pool: Mutex<Vec<Sandbox>>,
}

/// Why a run has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The script failed; in Lua's words, which may quote the data.
    Failed(String),
    /// It met one of its limits.
    TooCostly,
    /// It gave something of another type.
    WrongType(&'static str),
    /// The data is nested too deep, or has numbers beyond all floats.
    Unreadable,
    /// The data is no JSON object.
    NoObject,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) => write!(f, "it failed: {message}"),
            Self::TooCostly => f.write_str("it met a limit"),
            Self::WrongType(name) => write!(f, "it gave {name}"),
            Self::Unreadable => f.write_str("the data is nested too deep, or has numbers that are too large"),
            Self::NoObject => f.write_str("the data is no JSON object"),
        }
    }
}

/// What is wrong with the text of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The line, counted from 1, when it is known.
    pub line: Option<usize>,
    pub message: String,
}

/// As the message of a problem.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} in line {line}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Script {
    /// Compiles `text`; bytecode is refused.
    ///
    /// # Errors
    /// When it is no Lua 5.1, empty, or longer than [`MAX_LEN`].
    pub fn compile(text: &str) -> Result<Self, Refused> {
        let refused = |message: String| Refused { line: None, message };
        if text.trim().is_empty() {
            return Err(refused("must not be empty".to_owned()));
        }
        if text.len() > MAX_LEN {
            return Err(refused(format!("the script is longer than {MAX_LEN} bytes")));
        }
        let sandbox = Sandbox::new(text).map_err(|error| sandbox::refused(&error))?;
        Ok(Self { text: text.into(), pool: Mutex::new(vec![sandbox]) })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the script says `true` of `json`, the data of an event. It is the last value
    /// returned that counts.
    ///
    /// # Errors
    /// When it says neither `true` nor `false`.
    pub fn decide(&self, json: &str) -> Result<bool, Halt> {
        self.run(json, |_, result| match result {
            Value::Boolean(truth) => Ok(truth),
            other => Err(Halt::WrongType(value::kind(&other))),
        })
    }

    /// The JSON object that the script makes of `json`.
    ///
    /// # Errors
    /// When it makes none, or one that is too large.
    pub fn transform(&self, json: &str) -> Result<String, Halt> {
        self.run(json, |_, result| value::to_json(&result))
    }

    fn run<T>(&self, json: &str, read: impl FnOnce(&Sandbox, Value) -> Result<T, Halt>) -> Result<T, Halt> {
        let kept = self.lock().pop();
        let sandbox = match kept {
            Some(sandbox) => sandbox,
            None => Sandbox::new(&self.text).map_err(|error| Halt::Failed(error.to_string()))?,
        };
        let result = sandbox.run(json).and_then(|result| read(&sandbox, result));
        // A state that met a limit may be full; it is not worth cleaning up.
        if !matches!(result, Err(Halt::TooCostly)) {
            let mut pool = self.lock();
            if pool.len() < POOL {
                pool.push(sandbox);
            }
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Sandbox>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("text", &self.text).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
