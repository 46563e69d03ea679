//! Subscribers that get their events in order, as a process with real receivers that fail, and with kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;

use crate::support::{Client, Receiver, Reply, Run, eventually, free_port, sink, write_flow};

/// Posts an event whose id tells its key and its place.
async fn post(port: u16, id: &str) {
    let key = id.split('-').next().unwrap_or_default();
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "/tests"),
        ("ce-type", "order"),
        ("ce-partitionkey", key),
    ];
    let answer = Client::new().send(Method::POST, &format!("http://127.0.0.1:{port}/"), &headers, "").await;
    assert_eq!(answer.unwrap().code, 202);
}

/// Answers with `code` to events whose id begins with `prefix`, until it works.
async fn failing(prefix: &'static str, code: u16) -> (Receiver, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let now = works.clone();
    let receiver = Receiver::answering(move |_, seen| {
        let fails = seen.header("ce-id").starts_with(prefix) && !now.load(Ordering::SeqCst);
        Reply::code(if fails { code } else { 200 })
    })
    .await;
    (receiver, works)
}

/// The places of a key's events in the order in which they first came.
fn order(receiver: &Receiver, key: &str) -> Vec<u32> {
    let mut places: Vec<u32> = Vec::new();
    for seen in receiver.seen() {
        let Some((of, place)) = seen.header("ce-id").split_once('-') else { continue };
        let place = place.parse().unwrap();
        if of == key && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

#[tokio::test]
async fn what_fails_holds_up_its_own_key_alone() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let (receiver, works) = failing("a-", 503).await;
    let rules = "ordered: true, retryStrategy: {steps: 1000, duration: 5ms, cap: 20ms}";
    write_flow(folder.path(), port, &format!("{}, {rules}", sink(&receiver.uri("/"))));
    let process = Run::new(folder.path()).start().await;
    for place in 0..5 {
        post(port, &format!("a-{place}")).await;
        post(port, &format!("b-{place}")).await;
    }
    eventually("the other key goes on", || async { order(&receiver, "b").len() == 5 }).await;
    eventually("it is tried again and again", || async { receiver.count() > 12 }).await;
    assert_eq!(order(&receiver, "a"), [0]);
    works.store(true, Ordering::SeqCst);
    eventually("all arrive", || async { order(&receiver, "a").len() == 5 }).await;
    assert_eq!((order(&receiver, "a"), order(&receiver, "b")), (vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3, 4]));
    let metrics = Client::new().get(&process.admin("/metrics")).await.unwrap().body;
    let parked = "subscriber=\"sink\",outcome=\"parked\"} 0\n";
    assert!(metrics.contains(parked), "nothing is parked: {metrics}");
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn the_order_survives_kills() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let (receiver, works) = failing("a-0", 503).await;
    let rules = "ordered: true, retryStrategy: {steps: 10000, duration: 5ms, cap: 20ms}";
    write_flow(folder.path(), port, &format!("{}, {rules}", sink(&receiver.uri("/"))));
    let mut place = 0;
    for _ in 0..3 {
        let process = Run::new(folder.path()).start().await;
        for _ in 0..20 {
            post(port, &format!("a-{place}")).await;
            post(port, &format!("b-{place}")).await;
            place += 1;
        }
        let seen = receiver.count();
        eventually("it is tried again", || async { receiver.count() > seen }).await;
        process.kill().await;
    }
    works.store(true, Ordering::SeqCst);
    let process = Run::new(folder.path()).start().await;
    eventually("all arrive", || async { order(&receiver, "a").len() == 60 && order(&receiver, "b").len() == 60 }).await;
    let expected: Vec<u32> = (0..60).collect();
    assert_eq!(order(&receiver, "a"), expected);
    assert_eq!(order(&receiver, "b"), expected);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn what_is_given_up_lets_those_behind_it_go_on() {
    let (folder, port, dead) = (tempfile::tempdir().unwrap(), free_port(), Receiver::start().await);
    let (receiver, _) = failing("a-1", 400).await;
    let rules = format!("ordered: true, deadLetterSink: {{uri: \"{}\"}}", dead.uri("/dead"));
    write_flow(folder.path(), port, &format!("{}, {rules}", sink(&receiver.uri("/"))));
    let process = Run::new(folder.path()).start().await;
    for place in 0..4 {
        post(port, &format!("a-{place}")).await;
    }
    eventually("the others arrive", || async { receiver.count() == 4 }).await;
    eventually("one is a dead letter", || async { dead.count() == 1 }).await;
    assert_eq!((order(&receiver, "a"), order(&dead, "a")), (vec![0, 1, 2, 3], vec![1]));
    assert_eq!(process.stop().await, Some(0));
}
