//! The terminal, shared by log lines and one live line at the bottom; and standard output.
//!
//! A log line takes the live line away, is written, and the live line comes back below it. Without
//! a terminal there is no live line and log lines pass through untouched.

use std::io::{self, IsTerminal, StdoutLock, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Back to the first column, and clear to the end of the line.
const CLEAR: &[u8] = b"\r\x1b[K";

/// The live line as it stands now; empty when there is none.
static LIVE: Mutex<String> = Mutex::new(String::new());

/// Whether standard error is a terminal.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Replaces the live line; empty takes it away.
pub fn show(line: &str) {
    let mut shown = lock();
    let mut err = io::stderr().lock();
    if !(shown.is_empty() && line.is_empty()) {
        // Nobody is left to tell when the terminal is gone.
        err.write_all(CLEAR).and_then(|()| err.write_all(line.as_bytes())).and_then(|()| err.flush()).unwrap_or(());
    }
    line.clone_into(&mut shown);
}

fn lock() -> MutexGuard<'static, String> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where log lines go: standard error, above the live line.
#[derive(Clone, Copy, Debug)]
pub struct LogLines;

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for LogLines {
    /// The formatter hands over one whole line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = lock();
        let mut err = io::stderr().lock();
        if !shown.is_empty() {
            err.write_all(CLEAR)?;
        }
        err.write_all(line)?;
        if !shown.is_empty() {
            err.write_all(shown.as_bytes())?;
            err.flush()?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Standard output. A reader that goes away in the middle (`head`) has seen enough: that is no error,
/// and what the command found out still decides its exit code.
pub struct Output(Option<StdoutLock<'static>>);

impl Output {
    pub fn new() -> Self {
        Self(Some(io::stdout().lock()))
    }

    fn quietly<T>(&mut self, write: impl FnOnce(&mut StdoutLock<'static>) -> io::Result<T>, gone: T) -> io::Result<T> {
        let Some(out) = &mut self.0 else { return Ok(gone) };
        match write(out) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.0 = None;
                Ok(gone)
            }
            result => result,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.quietly(|out| out.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.quietly(Write::flush, ())
    }
}
