//! A real Mosquitto, on a free port and a directory of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tempfile::TempDir;

use super::free_port;
use super::server::Server;

/// A running broker. It is killed when this is dropped.
pub struct Mosquitto {
    pub port: u16,
    folder: TempDir,
    server: Server,
}

/// Debian installs it where only root's path leads.
fn binary(name: &str) -> PathBuf {
    let found =
        ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name)).into_iter().find(|path| path.exists());
    assert!(found.is_some(), "{name} is not installed: run `make tools`");
    found.unwrap()
}

impl Mosquitto {
    /// Starts a broker that everyone may use.
    pub fn start() -> Self {
        Self::start_with(|_| "allow_anonymous true\n".to_owned())
    }

    /// Starts a broker that this user alone may use.
    pub fn start_for(user: &str, password: &str) -> Self {
        Self::start_with(|folder| {
            let file = folder.join("passwords");
            let made =
                Command::new(binary("mosquitto_passwd")).args(["-b", "-c"]).arg(&file).args([user, password]).output();
            assert!(made.unwrap().status.success());
            format!("allow_anonymous false\npassword_file {}\n", file.display())
        })
    }

    /// Starts a broker; `more` writes into its folder what the lines of configuration that it gives need.
    pub fn start_with(more: impl FnOnce(&Path) -> String) -> Self {
        let mut broker = Self { port: free_port(), folder: tempfile::tempdir().unwrap(), server: Server::default() };
        let folder = broker.folder.path();
        let mut text = format!("listener {} 127.0.0.1\nuser root\n", broker.port);
        writeln!(text, "persistence true\npersistence_location {}/", folder.display()).unwrap();
        // Every message is its own: nothing may be dropped because nobody listens for a while.
        writeln!(text, "max_queued_messages 0\n{}", more(folder)).unwrap();
        std::fs::write(folder.join("mosquitto.conf"), text).unwrap();
        broker.run();
        broker
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Starts the process, again after it was stopped: the same port, the same data.
    pub fn run(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new(binary("mosquitto"));
        command.arg("-c").arg(folder.join("mosquitto.conf"));
        self.server.run(&mut command, self.port, &folder.join("log"));
    }

    /// SIGTERM: it saves its sessions, which SIGKILL would lose, and ends.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Publishes payloads to a topic, and waits until the broker has confirmed each.
    pub async fn publish(&self, topic: &str, qos: QoS, payloads: impl IntoIterator<Item = String>) {
        let payloads: Vec<String> = payloads.into_iter().collect();
        let mut options = MqttOptions::new(format!("publisher-{}", fastrand::u64(..)), "127.0.0.1", self.port);
        // It hangs up when more than 20 are on their way at once.
        options.set_inflight(10);
        let (client, mut events) = AsyncClient::new(options, payloads.len() + 1);
        let count = payloads.len();
        for payload in payloads {
            client.try_publish(topic, qos, false, payload).unwrap();
        }
        let mut confirmed = 0;
        while confirmed < count {
            match events.poll().await.unwrap() {
                Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => confirmed += 1,
                Event::Outgoing(rumqttc::Outgoing::Publish(_)) if qos == QoS::AtMostOnce => confirmed += 1,
                _ => {}
            }
        }
        client.try_disconnect().unwrap();
        while !matches!(events.poll().await, Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) | Err(_)) {}
    }
}
