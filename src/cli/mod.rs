//! The command line: what a person types, and the wiring behind it.
//!
//! The only room that reads the environment, decides exit codes, uses anyhow, and knows every
//! other room. Nobody imports it. Exit codes: 0 done, 1 failed while running or done in part, 2
//! refused because of what was given.

mod admin;
pub mod check;
mod component;
mod convert;
pub mod crd;
mod display;
mod dlq;
pub mod documents;
mod explain;
mod intake;
mod ledger;
mod limits;
mod logs;
mod narrator;
pub mod report;
mod router;
mod routes;
mod run;
mod secrets;
mod signals;
mod supervise;
mod terminal;
mod test;
mod workload;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Moves events from where they happen to the functions that handle them.
#[derive(Debug, Parser)]
#[command(
    name = "penstock",
    version,
    about,
    max_term_width = 100,
    after_help = "First steps:
  penstock run -f examples/quickstart   run the flow of a folder on this machine
  penstock display                      print the events that a flow delivers
  penstock check FILE...                find every mistake before anything runs"
)]
struct Arguments {
    #[command(flatten)]
    logs: logs::Options,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Options),
    Component(component::Options),
    Check(check::Options),
    Explain(explain::Options),
    Test(test::Options),
    Dlq(dlq::Options),
    Convert(convert::Options),
    /// Prints the custom resource definitions, for `kubectl apply -f -`
    Crd,
    Display(display::Options),
    Intake(intake::Options),
    Router(router::Options),
    #[command(name = supervise::lifeline::COMMAND, hide = true)]
    Lifeline(supervise::lifeline::Options),
    /// Prints the version
    Version,
}

/// How a command ended, when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// What was given is wrong; nothing was started.
    Refused,
    /// The result lacks something that was asked for, and what it lacks has been told.
    Incomplete,
    /// Something is not as it was expected to be, and that has been told.
    Unmet,
}

/// Runs the process: parses the command line, does what it says, prints the error chain once.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::from(2),
        Ok(Outcome::Incomplete | Outcome::Unmet) => ExitCode::FAILURE,
        Err(error) => {
            terminal::show("");
            // Standard error may be gone; the exit code still tells.
            writeln!(std::io::stderr(), "penstock: {error:#}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<Outcome> {
    arguments.logs.init()?;
    match arguments.command {
        Command::Run(options) => run::run(&options, &arguments.logs),
        Command::Component(options) => block_on(component::run(&options)).map(|()| Outcome::Done),
        Command::Check(options) => check(&options),
        Command::Explain(options) => {
            explain::run(&options, &mut std::io::stdin().lock(), &mut std::io::stdout().lock())
        }
        Command::Test(options) => test::run(&options, &mut terminal::Output::new()),
        Command::Dlq(options) => block_on(dlq::run(options, &mut terminal::Output::new())),
        Command::Convert(options) => {
            let (mut out, mut err) = (terminal::Output::new(), std::io::stderr().lock());
            convert::run(&options, &mut std::io::stdin().lock(), &mut out, &mut err)
        }
        Command::Crd => {
            crd::run(&mut terminal::Output::new())?;
            Ok(Outcome::Done)
        }
        Command::Display(options) => block_on(display::run(options)).map(|()| Outcome::Done),
        Command::Intake(options) => block_on(intake::run(options)).map(|()| Outcome::Done),
        Command::Router(options) => block_on(router::run(options)).map(|()| Outcome::Done),
        Command::Lifeline(options) => supervise::lifeline::run(&options).map(|()| Outcome::Done),
        Command::Version => {
            writeln!(terminal::Output::new(), "penstock {}", env!("CARGO_PKG_VERSION"))?;
            Ok(Outcome::Done)
        }
    }
}

fn check(options: &check::Options) -> anyhow::Result<Outcome> {
    let format = options.format(std::io::stdout().is_terminal());
    let right = check::run(&options.paths, format, &mut std::io::stdin().lock(), &mut terminal::Output::new())?;
    Ok(if right { Outcome::Done } else { Outcome::Refused })
}

/// Threads for blocking work: reading the disk behind a backlog, resolving names. The runtime starts
/// one whenever none is idle at that very moment, so under load it comes to its bound however little
/// there is to do, and each costs memory; more would not make a disk faster.
const BLOCKING_THREADS: usize = 32;

/// Runs a command that waits for things.
fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().max_blocking_threads(BLOCKING_THREADS).build()?.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_of_every_command_fit_together() {
        super::Arguments::command().debug_assert();
    }
}
