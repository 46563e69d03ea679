//! The binary under test, as a child process that never outlives its test.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Client, eventually};

/// The binary: the one that `PENSTOCK_BINARY` names (the release build in `make test`), else the
/// one that was built with the tests.
fn path() -> PathBuf {
    std::env::var_os("PENSTOCK_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_penstock").into(), PathBuf::from)
}

/// A port of the loopback interface that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
    let out = command.args(arguments).kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(!data.exists(), "nothing may be touched before the input is right: {text}");
    text
}

/// How `penstock run` is to be started.
#[derive(Clone, Debug)]
pub struct Run {
    /// The folder with the YAML, below it the data.
    folder: PathBuf,
    admin: u16,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Run {
    /// Runs the YAML files of `folder`, which also gets the data directory.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), admin: free_port(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// More arguments of `run`.
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
        let client = Client::new();
        let ready = format!("http://127.0.0.1:{}/readyz", self.admin);
        eventually("the process is ready", || async {
            assert!(!process.has_ended(), "it ended: {}", process.log());
            client.get(&ready).await.is_ok_and(|answer| answer.code == 200)
        })
        .await;
        process
    }

    /// Starts the process and does not wait.
    pub fn spawn(&self) -> Penstock {
        let mut child = Command::new(path())
            .arg("run")
            .arg("-f")
            .arg(&self.folder)
            .args(["--admin", &format!("127.0.0.1:{}", self.admin), "--log-format", "text"])
            .args(&self.arguments)
            .env("PENSTOCK_DATA_DIR", self.folder.join("data"))
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
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
        Penstock { child: Mutex::new(child), log, copies, admin: self.admin }
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

/// A running `penstock run`. Dropping it kills the process.
#[derive(Debug)]
pub struct Penstock {
    child: Mutex<Child>,
    log: Log,
    /// They end when everything it printed is in the log.
    copies: [JoinHandle<()>; 2],
    admin: u16,
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

impl Penstock {
    /// Everything it printed so far.
    pub fn log(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    /// The address of a path on its admin port.
    pub fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin)
    }

    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id().expect("the process was not waited for")
    }

    fn has_ended(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    /// Sends a signal, by the child's own id.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until the process has ended by itself; the exit code, if it was not a signal.
    pub async fn ended(self) -> Option<i32> {
        let mut child = self.child.into_inner().unwrap();
        child.wait().await.unwrap().code()
    }

    /// Waits until the process has ended by itself; its exit code and everything it printed.
    pub async fn log_when_ended(self) -> (Option<i32>, String) {
        let Self { child, log, copies, .. } = self;
        let code = child.into_inner().unwrap().wait().await.unwrap().code();
        for copy in copies {
            copy.await.unwrap();
        }
        let text = log.0.lock().unwrap().clone();
        (code, text)
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
