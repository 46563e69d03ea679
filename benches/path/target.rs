//! The processes under load: Penstock, and the proxy it is measured against.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::load::Sink;
use super::usage;

const BINARY: &str = env!("CARGO_BIN_EXE_penstock");

/// How long a process may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that takes events at `address`. Dropping it kills the process.
pub struct Target {
    pub address: String,
    child: Child,
    _folder: Option<tempfile::TempDir>,
}

/// The size of the binary in bytes.
pub fn binary_size() -> u64 {
    std::fs::metadata(BINARY).unwrap().len()
}

impl Target {
    /// `penstock run` with `triggers` Triggers on one topic, of which the events match one; also
    /// the time from its start until it was ready.
    pub async fn penstock(sink: &Sink, triggers: usize) -> (Duration, Self) {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        std::fs::write(folder.path().join("flow.yaml"), flow(port, &sink.address, triggers)).unwrap();
        let start = Instant::now();
        let child = Command::new(BINARY)
            .args(["run", "--quiet", "--log", "warn", "--admin", &format!("127.0.0.1:{admin}"), "-f"])
            .arg(folder.path())
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        while !is_ready(admin).await {
            assert!(start.elapsed() < PATIENCE, "it never became ready");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (start.elapsed(), Self { address: format!("127.0.0.1:{port}"), child, _folder: Some(folder) })
    }

    /// The proxy, in a process of its own.
    pub async fn proxy(sink: &Sink) -> Self {
        let port = free_port();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["proxy", &port.to_string(), &sink.address])
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (address, start) = (format!("127.0.0.1:{port}"), Instant::now());
        while TcpStream::connect(&address).await.is_err() {
            assert!(start.elapsed() < PATIENCE, "the proxy never listened");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { address, child, _folder: None }
    }

    /// Resident memory now.
    pub fn rss_mb(&self) -> f64 {
        usage::rss_mb(self.pid())
    }

    /// Processor time used so far, user and system.
    pub fn cpu_seconds(&self) -> f64 {
        usage::cpu_seconds(self.pid())
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub async fn stop(&mut self) {
        self.child.kill().await.unwrap();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn is_ready(admin: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", admin)).await else { return false };
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// One webhook and `triggers` Triggers that filter its events on a number in the data, and all but
/// the first on a type that never comes.
fn flow(port: u16, sink: &str, triggers: usize) -> String {
    let mut yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: bench}}
spec: {{http: {{post: {{path: /, port: {port}}}}}}}
"
    );
    for trigger in 0..triggers {
        let attributes = if trigger == 0 { String::new() } else { format!(", attributes: {{type: none.{trigger}}}") };
        write!(
            yaml,
            "---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: t{trigger}}}
spec:
  eventSources:
    - name: post
      eventSourceName: bench
      eventName: post
      filters: {{data: [{{path: order.total, type: number, comparator: \">\", value: [\"100\"]}}]{attributes}}}
  subscribers: [{{name: sink, sink: {{uri: \"http://{sink}/\"}}, concurrency: 256}}]
"
        )
        .unwrap();
    }
    yaml
}
