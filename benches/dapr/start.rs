//! How soon the sockets are there after the start of a process.

use std::time::{Duration, Instant};

use tokio::net::UnixStream;

use super::harness::Effort;
use super::support::Run;

/// What `penstock component` serves at least.
const SOCKETS: [&str; 3] = ["eventbus.embedded.sock", "eventbus.jetstream.sock", "eventsource.http.sock"];

pub async fn measure(effort: Effort) {
    let mut times = Vec::new();
    for _ in 0..effort.pick(5, 1) {
        let folder = tempfile::tempdir().unwrap();
        let sockets = folder.path().join("s");
        std::fs::create_dir(&sockets).unwrap();
        let run = Run::component(folder.path(), &sockets);
        let start = Instant::now();
        let process = run.spawn();
        for socket in SOCKETS {
            while UnixStream::connect(sockets.join(socket)).await.is_err() {
                assert!(start.elapsed() < Duration::from_secs(30), "{socket} is not served");
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        times.push(start.elapsed());
        process.kill().await;
    }
    times.sort();
    println!("start to the last socket: {} ms (median)", times[times.len() / 2].as_millis());
}
