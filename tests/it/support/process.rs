//! A child process that never outlives its test.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::PATIENCE;

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Mutex<Child>,
    log: Log,
    /// They end when everything it printed is in the log.
    copies: [JoinHandle<()>; 2],
}

/// Everything a process printed. A test that fails while it runs shows it.
#[derive(Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl Drop for Log {
    #[expect(clippy::print_stderr, reason = "the output of a failing test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the process printed:\n{}", self.0.lock().unwrap());
        }
    }
}

impl Process {
    /// Starts a command and does not wait.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::default();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let copies = [
            tokio::spawn(copy(BufReader::new(out), log.0.clone())),
            tokio::spawn(copy(BufReader::new(err), log.0.clone())),
        ];
        Self { child: Mutex::new(child), log, copies }
    }

    /// Everything it printed so far.
    pub fn log(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id().expect("the process was not waited for")
    }

    pub fn has_ended(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    /// Sends a signal, by the child's own id.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Closes the pipes that it prints to, as a collector of logs does that dies.
    pub async fn stop_reading(&mut self) {
        for copy in &mut self.copies {
            copy.abort();
            assert!(copy.await.is_err_and(|error| error.is_cancelled()));
        }
    }

    /// Waits until the process has ended by itself; the exit code, if it was not a signal.
    pub async fn ended(mut self) -> Option<i32> {
        self.exit_code().await
    }

    /// Waits until the process has ended by itself; its exit code and everything it printed.
    pub async fn log_when_ended(mut self) -> (Option<i32>, String) {
        let code = self.exit_code().await;
        for copy in &mut self.copies {
            // A child of its own that outlives it keeps the pipe open.
            timeout(PATIENCE, copy).await.expect("whoever has its output closes it").unwrap();
        }
        (code, self.log())
    }

    /// One that never ends fails the test, which shows what it printed.
    async fn exit_code(&mut self) -> Option<i32> {
        let child = self.child.get_mut().unwrap();
        timeout(PATIENCE, child.wait()).await.expect("the process ends").unwrap().code()
    }

    /// SIGKILL, and waits until the process is gone.
    pub async fn kill(self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// SIGTERM, and waits for the exit code.
    pub async fn stop(self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.ended().await
    }
}

async fn copy(from: impl tokio::io::AsyncBufRead + Unpin, log: Arc<Mutex<String>>) {
    let mut lines = from.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}
