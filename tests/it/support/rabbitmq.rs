//! A real `RabbitMQ`, on free ports and a directory of its own, with an epmd of its own.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::{eventually, free_port};

/// The script as Debian installs it; the one in the path asks for another user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// For the server to start. It takes seconds by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running broker. It is killed when this is dropped.
pub struct RabbitMq {
    pub port: u16,
    epmd_port: u16,
    dist_port: u16,
    folder: TempDir,
    epmd: Child,
    child: Option<Child>,
}

impl RabbitMq {
    /// Starts a broker; `more` writes into its folder what the lines of configuration that it gives need.
    pub async fn start(more: impl FnOnce(&Path) -> String) -> Self {
        assert!(Path::new(SERVER).exists(), "{SERVER} is missing: run `make tools`");
        let folder = tempfile::tempdir().unwrap();
        let epmd_port = free_port();
        let epmd = Command::new("epmd")
            .args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut broker = Self { port: free_port(), epmd_port, dist_port: free_port(), folder, epmd, child: None };
        let mut text = format!("listeners.tcp.1 = 127.0.0.1:{}\n", broker.port);
        writeln!(text, "{}", more(broker.folder.path())).unwrap();
        std::fs::write(broker.folder.path().join("rabbitmq.conf"), text).unwrap();
        std::fs::write(broker.folder.path().join("plugins"), "[].\n").unwrap();
        eventually("epmd listens", || async { TcpStream::connect(("127.0.0.1", epmd_port)).is_ok() }).await;
        broker.run().await;
        broker
    }

    /// The address, with the virtual host that everyone has.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.port)
    }

    /// Starts the server, again after it was killed: the same ports, the same data.
    pub async fn run(&mut self) {
        let path = |name: &str| self.folder.path().join(name);
        let log = std::fs::File::options().append(true).create(true).open(path("log")).unwrap();
        let child = Command::new(SERVER)
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("penstock{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .env("RABBITMQ_MNESIA_BASE", path("data"))
            .env("RABBITMQ_LOG_BASE", path("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            // The script starts other processes: they are killed together.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            let log = || std::fs::read_to_string(path("log")).unwrap_or_default();
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "rabbitmq-server does not start:\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGKILL to the server and everything that its script started, and waits until the server is gone: the
    /// script ends first, and a second server beside a dying one would take its data apart.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
        let killed = Instant::now();
        let listens = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
        while [self.port, self.dist_port].into_iter().any(listens) && killed.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A channel that confirms what is published. The connection lasts as long as both.
    pub async fn channel(&self) -> (Connection, Channel) {
        let connection = Connection::connect(&self.url(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        (connection, channel)
    }

    /// Publishes persistent messages, and waits until the broker has confirmed all.
    pub async fn publish(
        &self,
        exchange: &str,
        key: &str,
        messages: impl IntoIterator<Item = (BasicProperties, String)>,
    ) {
        let (connection, channel) = self.channel().await;
        let mut confirms = Vec::new();
        for (properties, body) in messages {
            let (options, properties) = (BasicPublishOptions::default(), properties.with_delivery_mode(2));
            let sent = channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
            confirms.push(sent.await.unwrap());
        }
        for confirm in confirms {
            assert!(confirm.await.unwrap().is_ack());
        }
        connection.close(200, "done".into()).await.unwrap();
    }
}

impl Drop for RabbitMq {
    #[expect(clippy::print_stderr, reason = "the output of a failing test")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("the broker printed:\n{log}");
        }
        self.epmd.kill().unwrap();
        self.epmd.wait().unwrap();
    }
}
