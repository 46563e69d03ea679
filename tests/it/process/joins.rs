//! Joins in the running process: what is delivered, when not, and after a kill.

use std::path::Path;

use crate::support::{Client, Receiver, Run, eventually, free_port};

/// Webhooks `/a` and `/b`, and one subscriber over both with these settings (the inside of a YAML flow mapping).
fn write(folder: &Path, port: u16, receiver: &Receiver, settings: &str) {
    let uri = receiver.uri("/");
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: clients}}
spec:
  http:
    a: {{path: /a, port: {port}}}
    b: {{path: /b, port: {port}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: join}}
spec:
  eventSources:
    - {{name: a, eventSourceName: clients, eventName: a}}
    - {{name: b, eventSourceName: clients, eventName: b}}
  subscribers:
    - {{name: both, {settings}, sink: {{uri: \"{uri}\"}}}}
"
    );
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

async fn post(port: u16, name: &str, id: &str) {
    let uri = format!("http://127.0.0.1:{port}/{name}");
    let answer = Client::new().event(&uri, id, "com.example.join", "{\"n\": 1}").await.unwrap();
    assert!((200..300).contains(&answer.code), "{answer:?}");
}

/// The bodies that were received.
fn bodies(receiver: &Receiver) -> Vec<serde_json::Value> {
    receiver.seen().iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
}

/// The ids of the events in the body of a join.
fn ids(body: &serde_json::Value) -> (&str, &str) {
    (body["a"]["id"].as_str().unwrap(), body["b"]["id"].as_str().unwrap())
}

async fn delivered(receiver: &Receiver, count: usize) {
    eventually("it is delivered", || async { receiver.count() >= count }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_events_are_delivered_as_one_and_a_kill_between_them_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write(folder.path(), port, &receiver, "condition: a && b");
    let run = Run::new(folder.path());
    let mut process = run.start().await;
    for round in 0..4 {
        post(port, "a", &format!("old{round}")).await;
        post(port, "a", &format!("a{round}")).await;
        if round % 2 == 1 {
            process.kill().await;
            process = run.start().await;
        }
        post(port, "b", &format!("b{round}")).await;
        delivered(&receiver, round + 1).await;
    }
    process.kill().await;
    let process = run.start().await;
    assert_eq!(process.stop().await, Some(0));
    let bodies = bodies(&receiver);
    let mut seen: Vec<_> = bodies.iter().map(ids).collect();
    // A kill may make a delivery come twice, with the same id.
    seen.dedup();
    assert_eq!(seen, [("a0", "b0"), ("a1", "b1"), ("a2", "b2"), ("a3", "b3")]);
    assert_eq!(bodies[0]["a"]["data"], serde_json::json!({"n": 1}));
    let first = &receiver.seen()[0];
    assert_eq!(first.header("ce-type"), "events.openfunction.io.joined");
    assert_eq!(first.header("ce-source"), "/triggers/default/join/both");
    assert!(first.header("ce-id").starts_with("a=default-clients-a/"), "{}", first.header("ce-id"));
    let mut joined: Vec<_> = receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect();
    joined.dedup();
    assert_eq!(joined.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_negation_blocks_is_not_delivered_and_the_last_event_can_stand_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write(folder.path(), port, &receiver, "condition: \"a && !b\", negationWindow: 1h");
    let process = Run::new(folder.path()).start().await;
    post(port, "a", "free").await;
    delivered(&receiver, 1).await;
    post(port, "b", "stop").await;
    post(port, "a", "blocked").await;
    let client = Client::new();
    eventually("it is counted as blocked", || async {
        let metrics = client.get(&process.admin("/metrics")).await.unwrap().body;
        let line = metrics.lines().find(|line| line.contains("outcome=\"blocked\"")).map(str::to_owned);
        line.is_some_and(|line| line.ends_with(" 1"))
    })
    .await;
    assert_eq!(process.stop().await, Some(0));
    let seen: Vec<_> = receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect();
    assert_eq!(seen, ["free"], "an event that fires by itself is delivered as it came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_match_is_fired_after_a_kill_or_cancelled_by_what_it_negates() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write(folder.path(), port, &receiver, "condition: \"a && !b\", hold: 6s, negationWindow: 1ms");
    let run = Run::new(folder.path());
    let process = run.start().await;
    post(port, "a", "cancelled").await;
    post(port, "b", "stop").await;
    // It is a moment later than the negation window.
    eventually("time goes on", {
        let start = std::time::Instant::now();
        move || async move { start.elapsed().as_millis() > 5 }
    })
    .await;
    post(port, "a", "kept").await;
    process.kill().await;
    let process = run.start().await;
    delivered(&receiver, 1).await;
    assert_eq!(process.stop().await, Some(0));
    let mut seen: Vec<_> = receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect();
    seen.dedup();
    assert_eq!(seen, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_window_is_not_joined() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write(folder.path(), port, &receiver, "condition: a && b, window: 5s, payload: last");
    let process = Run::new(folder.path()).start().await;
    post(port, "a", "old").await;
    eventually("the window is over", {
        let start = std::time::Instant::now();
        move || async move { start.elapsed().as_millis() > 5_100 }
    })
    .await;
    post(port, "b", "alone").await;
    post(port, "a", "new").await;
    delivered(&receiver, 1).await;
    assert_eq!(process.stop().await, Some(0));
    let seen: Vec<_> = receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect();
    assert_eq!(seen, ["new"]);
}
