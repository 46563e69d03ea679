//! A real nats-server with `JetStream`, on a free port and a directory of its own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::free_port;
use super::server::Server;

/// The version that the tools are installed at.
const VERSION: &str = "2.15.1";

/// A running server. It is killed when this is dropped.
pub struct NatsServer {
    pub port: u16,
    folder: TempDir,
    server: Server,
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
        let mut server = Self { port: free_port(), folder: tempfile::tempdir().unwrap(), server: Server::default() };
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
        let folder = self.folder.path();
        let mut command = Command::new(binary());
        command.arg("-c").arg(folder.join("server.conf"));
        self.server.run(&mut command, self.port, &folder.join("log"));
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// SIGSTOP: connections stay, answers do not come.
    pub fn pause(&self) {
        self.server.pause();
    }

    pub fn resume(&self) {
        self.server.resume();
    }
}
