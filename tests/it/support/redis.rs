//! A real redis-server that writes each event to its disk, on a free port and a directory of its own.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::server::Server;
use super::{PATIENCE, eventually, free_port};

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
        let log = folder.join("log");
        self.server.run(&mut command, self.port, &log);
        // It listens before it has read its data, and refuses every command until then.
        let started = Instant::now();
        while !fs::read_to_string(&log).unwrap().contains("Ready to accept connections") {
            assert!(started.elapsed() < PATIENCE, "redis-server does not read its data");
            std::thread::sleep(Duration::from_millis(10));
        }
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

/// A sentinel that looks after one master, alone. It is killed when this is dropped.
pub struct Sentinel {
    port: u16,
    _folder: TempDir,
    _server: Server,
}

impl Sentinel {
    /// Starts a sentinel that calls the master `name`. It acts when it is told to: on a machine that is busy, servers
    /// are silent for long.
    pub fn start(name: &str, master: &RedisServer) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let file = folder.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {name} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {name} 600000\n",
            folder.path().display(),
            master.port,
        );
        fs::write(&file, settings).unwrap();
        let mut server = Server::default();
        let mut command = Command::new("redis-server");
        server.run(command.arg(&file).arg("--sentinel"), port, &folder.path().join("log"));
        Self { port, _folder: folder, _server: server }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Puts a replica in the place of the master `name`, which is dead.
    pub async fn fail_over(&self, name: &str) {
        eventually("a replica is promoted", || async {
            let mut order = redis::cmd("SENTINEL");
            order.arg("FAILOVER").arg(name);
            // Refused while no replica is found fit to take over.
            order.exec_async(&mut self.connection().await).await.is_ok()
        })
        .await;
    }

    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(format!("redis://{}", self.address())).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}
