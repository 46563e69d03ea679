//! A child that does not outlive its supervisor, however that ends: it asks the kernel to be killed with
//! its parent, and then becomes the program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The name of the command. It is no part of what people use.
pub const COMMAND: &str = "lifeline";

/// Runs a program that ends when the process that started it does
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The process that starts this one
    parent: i32,

    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

/// Becomes the program; returns only when that fails.
///
/// # Errors
/// When the parent is gone already, or the program cannot be run.
pub fn run(options: &Options) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot ask to end with the parent process")?;
    // It may have ended before it was asked for.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != options.parent) {
        bail!("the process that started this one is gone");
    }
    let Some((program, arguments)) = options.program.split_first() else { bail!("no program was named") };
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}
