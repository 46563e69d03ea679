//! A real nats-server with `JetStream`, on a free port and a directory of its own.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::free_port;

/// The version that the tools are installed at.
const VERSION: &str = "2.15.1";
/// For the server to open its port; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. It is killed when this is dropped.
pub struct NatsServer {
    pub port: u16,
    folder: TempDir,
    child: Option<Child>,
}

fn binary() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"), PathBuf::from);
    let binary = cache.join(format!("penstock/tools/nats-server-{VERSION}"));
    assert!(binary.exists(), "{} is missing: run `make tools`", binary.display());
    binary
}

impl NatsServer {
    /// Starts a server; `more` are lines of its configuration.
    pub fn start(more: &str) -> Self {
        let mut server = Self { port: free_port(), folder: tempfile::tempdir().unwrap(), child: None };
        let mut text = String::new();
        writeln!(text, "listen: \"127.0.0.1:{}\"", server.port).unwrap();
        writeln!(text, "jetstream {{ store_dir: \"{}\" }}", server.folder.path().join("data").display()).unwrap();
        // Room for the largest events of the suite.
        writeln!(text, "max_payload: 4MB\n{more}").unwrap();
        std::fs::write(server.folder.path().join("server.conf"), text).unwrap();
        server.run();
        server
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts the process, again after it was killed: the same port, the same data.
    pub fn run(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new(binary())
            .arg("-c")
            .arg(self.folder.path().join("server.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "nats-server does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGSTOP: connections stay, answers do not come.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let status = format!("/proc/{}/stat", self.child.as_ref().unwrap().id());
        while !std::fs::read_to_string(&status).unwrap().contains(") T ") {
            std::thread::yield_now();
        }
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap();
        kill_process(Pid::from_child(child), signal).unwrap();
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
