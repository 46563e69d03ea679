//! A disk that fills up: what was confirmed is kept, what cannot be kept is refused.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Client, Receiver, Run, eventually, free_port};

/// A small file system of its own. Needs root, as the test machines give; without it the test
/// fails rather than skips.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir(at).unwrap();
        let options = format!("size={size}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at));
        Self(at.to_owned())
    }

    fn grow(&self, size: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

#[tokio::test]
async fn a_full_disk_refuses_events_and_loses_none_that_were_confirmed() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    let disk = Disk::mount(&folder.path().join("small"), "24m");
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: clients}}
spec: {{http: {{post: {{path: /, port: {port}}}}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: one}}
spec:
  eventSources: [{{name: post, eventSourceName: clients, eventName: post}}]
  subscribers: [{{name: sink, sink: {{uri: \"{}\"}}}}]
",
        receiver.uri("/")
    );
    std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
    let data = disk.0.join("bus");
    let run = Run::new(folder.path()).with(["--data-dir", data.to_str().unwrap()]);
    let process = run.start().await;

    // Random text does not compress, so the disk is full after some dozens of events.
    let uri = format!("http://127.0.0.1:{port}/");
    let client = Client::new();
    let mut random = fastrand::Rng::with_seed(3);
    let mut confirmed = Vec::new();
    let refusal = loop {
        assert!(confirmed.len() < 1000, "the disk never filled up");
        let id = format!("e{}", confirmed.len());
        let body: String = std::iter::repeat_with(|| random.alphanumeric()).take(512 * 1024).collect();
        match client.event(&uri, &id, "com.example.big", &format!("\"{body}\"")).await {
            Ok(answer) if answer.code == 202 => confirmed.push(id),
            other => break other,
        }
    };
    if let Ok(answer) = &refusal {
        assert_eq!(answer.code, 503, "{answer:?}");
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    }
    assert!(!confirmed.is_empty());

    // With room again it is well without anyone writing. By itself or after a restart, everything
    // confirmed arrives, and new events are taken.
    let health = async || client.get(&process.admin("/livez")).await.unwrap();
    let full = health().await;
    assert!(full.code == 503 && full.body.contains("full"), "{full:?}");
    disk.grow("512m");
    eventually("the bus is well", || async { health().await.code == 200 }).await;
    process.kill().await;
    let process = run.start().await;
    eventually("everything confirmed arrives", || async {
        let seen = receiver.seen();
        confirmed.iter().all(|id| seen.iter().any(|request| request.header("ce-id") == id))
    })
    .await;
    assert_eq!(client.event(&uri, "after", "com.example.big", "{}").await.unwrap().code, 202);
    assert_eq!(process.stop().await, Some(0));
}
