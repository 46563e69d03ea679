//! A disk that fills up: what was confirmed is kept, what cannot be kept is refused.

use crate::support::{Client, Disk, Receiver, Run, eventually, free_port, sink, write_flow};

#[tokio::test]
async fn a_full_disk_refuses_events_and_loses_none_that_were_confirmed() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    let disk = Disk::new("24m");
    write_flow(folder.path(), port, &sink(&receiver.uri("/")));
    let data = disk.path().join("bus");
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
