//! Logs: plain lines for a person, JSON for a machine.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::terminal::{LogLines, is_terminal};

/// A part of the AMQP client, all of whose lines are at the level trace and tell addresses with their
/// passwords: never, whatever is asked for.
const QUIET: &str = "amq_protocol_tcp=off";

/// How much is logged, and in which form.
#[expect(clippy::doc_markdown, reason = "the text of the fields is the help of the command line")]
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What is logged: a level (error, warn, info, debug, trace), or levels per room such as
    /// "info,penstock::router=debug"
    #[arg(long, global = true, env = "PENSTOCK_LOG", default_value = "info", value_name = "LEVELS", value_parser = levels)]
    log: String,

    /// The form of a log line; auto is text on a terminal and json otherwise
    #[arg(long, global = true, env = "PENSTOCK_LOG_FORMAT", default_value = "auto", value_name = "FORMAT")]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Auto,
    Text,
    Json,
}

/// The same logs, for a child process.
#[derive(Clone, Debug)]
pub struct Passed {
    levels: String,
    /// Lines are for a machine.
    pub json: bool,
}

impl Passed {
    /// The variables that say it.
    pub fn environment(&self) -> [(&'static str, &str); 2] {
        [("PENSTOCK_LOG", &self.levels), ("PENSTOCK_LOG_FORMAT", if self.json { "json" } else { "text" })]
    }
}

/// Refuses levels that cannot be read together with the rest of the command line.
fn levels(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; write a level such as \"info\"")),
    }
}

impl Options {
    /// What a child process is told, so that its lines stand among ours.
    pub fn pass_on(&self) -> Passed {
        let json = match self.log_format {
            Format::Json => true,
            Format::Text => false,
            Format::Auto => !is_terminal(),
        };
        Passed { levels: self.log.clone(), json }
    }

    /// Sends the process's logs to standard error.
    ///
    /// # Errors
    /// When the levels cannot be read.
    pub fn init(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log)?.add_directive(QUIET.parse()?);
        let terminal = is_terminal();
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(LogLines);
        // It would report a line that cannot be written on the same standard error, and panic when that fails too: in
        // the middle of a delivery, or of a stop.
        let builder = builder.log_internal_errors(false);
        match self.log_format {
            Format::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
            Format::Auto if !terminal => {
                builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
            }
            Format::Auto | Format::Text => builder.with_target(false).with_ansi(terminal).init(),
        }
        Ok(())
    }
}
