//! A real redis-server that writes each event to its disk, on a free port and a directory of its own.

use std::process::Command;

use tempfile::TempDir;

use super::free_port;
use super::server::Server;

/// A running server. It is killed when this is dropped.
pub struct RedisServer {
    pub port: u16,
    folder: TempDir,
    more: Vec<String>,
    server: Server,
}

impl RedisServer {
    /// Starts a server; `more` are further arguments, which win over its own.
    pub fn start(more: &[&str]) -> Self {
        let more = more.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server =
            Self { port: free_port(), folder: tempfile::tempdir().unwrap(), more, server: Server::default() };
        server.run();
        server
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the process, again after it was killed: the same port, the same data.
    pub fn run(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(folder)
            .args(&self.more);
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
