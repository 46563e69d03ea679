//! One child process.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::unix::pipe;

use super::lines::{self, Look};
use crate::fault::Fault;
use crate::task::{self, Group, Shutdown};

/// How long the last lines of a child that has ended may take to be read.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A child that runs, or has ended and was not replaced yet. Dropping it kills it.
pub struct Running {
    child: Child,
    /// They copy what it prints.
    lines: Group,
}

impl Running {
    /// Starts a command whose outputs are pipes.
    ///
    /// # Errors
    /// When the system does not start it.
    pub fn start(mut command: Command, look: &Look) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let mut lines = Group::new(&Shutdown::new());
        let outputs = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
        let mut running = Self { child, lines: Group::default() };
        for output in outputs.into_iter().flatten() {
            let copied = lines::copy(pipe::Receiver::from_owned_fd(output)?, look.clone());
            lines.spawn(async move {
                copied.await;
                Result::<(), Fault>::Ok(())
            });
        }
        running.lines = lines;
        Ok(running)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs. SIGCHLD tells when it is worth asking.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        // Only a child that was waited for elsewhere could not be asked, and this is the one place that waits.
        self.child.try_wait().unwrap_or_default()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        // One that has ended is still there until it is waited for, so the id is no other process's.
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap_or_default();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }

    /// Waits until everything that it printed is copied.
    pub async fn last_lines(self) {
        let mut this = self;
        let lines = std::mem::take(&mut this.lines);
        // Copying does not fail.
        task::within(LAST_LINES, lines.join()).await.unwrap_or(Ok(())).unwrap_or_default();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
