//! What the whole-process tests share: the binary under test, an HTTP client, a receiving server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the task room is the library's own")]

mod apiserver;
mod binary;
mod client;
mod crds;
mod daprd;
mod disk;
mod flow;
#[cfg(feature = "kafka")]
mod kafka;
mod minio;
mod mosquitto;
mod nats;
mod process;
mod proxy;
mod rabbitmq;
mod raw;
mod receiver;
mod redis;
mod server;

pub use apiserver::{ADMIN, ApiServer, GUEST};
pub use binary::{Penstock, Run, free_port, output, output_to, refused};
pub use client::{Answer, Client};
pub use crds::{apply_foreign_crds, apply_own_crds};
pub use daprd::{Daprd, daprd_path};
pub use disk::Disk;
pub use flow::{sink, write_flow, write_pair};
#[cfg(feature = "kafka")]
pub use kafka::{KafkaServer, MAX_MESSAGE, PASSWORD, Sent, USER};
pub use minio::Minio;
pub use mosquitto::Mosquitto;
pub use nats::NatsServer;
pub use process::Process;
pub use proxy::Proxy;
pub use rabbitmq::RabbitMq;
pub use raw::{break_off, exchange};
pub use receiver::{Receiver, Reply, Seen};
pub use redis::{RedisServer, Sentinel};

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// How long a condition may take to come true before the test gives up. Generous: a loaded
/// machine is slow, and nothing is decided by it but how long a failing test takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where `make tools` puts the servers.
fn tools() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("penstock/tools")
}

/// Waits until `condition` holds; `what` names it when it never does.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
