//! The binary under test, as a child process that never outlives its test.

use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use tokio::process::Command;

use super::process::Process;
use super::{Client, PATIENCE, eventually};

/// The binary: the one that `PENSTOCK_BINARY` names (the release build in `make test`), else the
/// one that was built with the tests.
fn path() -> PathBuf {
    std::env::var_os("PENSTOCK_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_penstock").into(), PathBuf::from)
}

/// A port of the loopback interface that nobody listens on, and that nobody else is given: no other
/// test of this process, and no outgoing connection, whose ports the system takes from 32768 on.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Test processes that run side by side begin in different places.
        let place = (std::process::id().wrapping_mul(101)).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + place % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Runs a command of the binary to its end.
pub async fn output<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(path()).args(arguments).kill_on_drop(true).output().await.unwrap()
}

/// As [`output`], with its standard output sent elsewhere.
pub async fn output_to(out: impl Into<Stdio>, arguments: &[&str]) -> Output {
    Command::new(path()).args(arguments).stdout(out).stderr(Stdio::piped()).kill_on_drop(true).output().await.unwrap()
}

/// Runs a flow that must be refused, with exit code 2, before anything starts; what was printed.
pub async fn refused<S: AsRef<OsStr>>(yaml: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
    let mut command = Command::new(path());
    command.arg("run").arg("-f").arg(folder.path()).arg("--data-dir").arg(&data).args(["--admin", "127.0.0.1:0"]);
    let ended = tokio::time::timeout(PATIENCE, command.args(arguments).kill_on_drop(true).output());
    let out = ended.await.expect("it was not refused: it runs").unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(!data.exists(), "nothing may be touched before the input is right: {text}");
    text
}

/// How the binary is to be started.
#[derive(Clone, Debug)]
pub struct Run {
    /// The subcommand and what it needs.
    command: Vec<OsString>,
    /// The folder with the YAML, below it the data.
    folder: PathBuf,
    admin: u16,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Run {
    /// Runs the YAML files of `folder`, which also gets the data directory.
    pub fn new(folder: &Path) -> Self {
        Self::command(["run".as_ref(), "-f".as_ref(), folder.as_os_str()], folder)
    }

    /// Serves components, with the sockets in the folder `sockets`, and the data in `folder`.
    pub fn component(folder: &Path, sockets: &Path) -> Self {
        Self::command(["component".as_ref(), "--sockets-dir".as_ref(), sockets.as_os_str()], folder)
    }

    /// Any subcommand that has an admin port, with the data in `folder`.
    pub fn command<S: AsRef<OsStr>>(command: impl IntoIterator<Item = S>, folder: &Path) -> Self {
        let command = command.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let folder = folder.to_owned();
        Self { command, folder, admin: free_port(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// More arguments.
    pub fn with<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// One more environment variable of the process.
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Starts the process and waits until it says that it is ready.
    pub async fn start(&self) -> Penstock {
        let process = self.spawn();
        process.ready().await;
        process
    }

    /// Starts the process and does not wait.
    pub fn spawn(&self) -> Penstock {
        let mut command = Command::new(path());
        command
            .args(&self.command)
            .args(["--admin", &format!("127.0.0.1:{}", self.admin), "--log-format", "text"])
            .args(&self.arguments)
            .env("PENSTOCK_DATA_DIR", self.folder.join("data"))
            .envs(self.environment.iter().map(|(name, value)| (*name, value)));
        Penstock { process: Process::spawn(command), admin: self.admin }
    }
}

/// The running binary. Dropping it kills the process.
#[derive(Debug)]
pub struct Penstock {
    process: Process,
    admin: u16,
}

impl Penstock {
    /// Everything it printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The address of a path on its admin port.
    pub fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin)
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        let (client, ready) = (Client::new(), self.admin("/readyz"));
        eventually("the process is ready", || async {
            assert!(!self.has_ended(), "it ended: {}", self.log());
            client.get(&ready).await.is_ok_and(|answer| answer.code == 200)
        })
        .await;
    }

    fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Closes the pipes that it prints to, as a collector of logs does that dies.
    pub async fn stop_reading(&mut self) {
        self.process.stop_reading().await;
    }

    /// Sends a signal, by the child's own id.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until the process has ended by itself; the exit code, if it was not a signal.
    pub async fn ended(self) -> Option<i32> {
        self.process.ended().await
    }

    /// Waits until the process has ended by itself; its exit code and everything it printed.
    pub async fn log_when_ended(self) -> (Option<i32>, String) {
        self.process.log_when_ended().await
    }

    /// SIGKILL, and waits until the process is gone.
    pub async fn kill(self) {
        self.process.kill().await;
    }

    /// SIGTERM, and waits for the exit code.
    pub async fn stop(self) -> Option<i32> {
        self.process.stop().await
    }
}
