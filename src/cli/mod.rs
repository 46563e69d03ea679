//! The command line: what a person types, and the wiring behind it.
//!
//! The only room that reads the environment, decides exit codes, uses anyhow, and knows every
//! other room. Nobody imports it. Exit codes: 0 done, 1 failed while running, 2 refused because
//! of what was given.

pub mod documents;
mod logs;
pub mod report;
mod secrets;

use std::process::ExitCode;

/// Bad input: what was given is refused, nothing was started.
const REFUSED: u8 = 2;

/// Runs the process: parses the command line, does what it says, prints the error chain once.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
