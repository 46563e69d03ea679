//! Joins in the running process: what is delivered, when not, and after a kill.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

#[cfg(feature = "kafka")]
use crate::support::KafkaServer;
use crate::support::{Client, NatsServer, Penstock, Receiver, RedisServer, Run, eventually, free_port, write_pair};

/// Webhooks `/a` and `/b`, and one subscriber over both with these settings (the inside of a YAML flow mapping).
fn write(folder: &Path, port: u16, receiver: &Receiver, settings: &str) {
    write_on(folder, "embedded: {}", port, receiver, settings);
}

/// On a bus with these settings.
fn write_on(folder: &Path, bus: &str, port: u16, receiver: &Receiver, settings: &str) {
    let uri = receiver.uri("/");
    write_pair(folder, bus, port, &[format!("name: both, {settings}, sink: {{uri: \"{uri}\"}}")]);
}

async fn post(port: u16, name: &str, id: &str) {
    post_with(port, name, id, "{\"n\": 1}").await;
}

async fn post_with(port: u16, name: &str, id: &str, body: &str) {
    let uri = format!("http://127.0.0.1:{port}/{name}");
    let answer = Client::new().event(&uri, id, "com.example.join", body).await.unwrap();
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

async fn two_are_one_whatever_is_killed(bus: &str) {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write_on(folder.path(), bus, port, &receiver, "condition: a && b");
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
        // A kill may make a delivery come twice.
        let all = || bodies(&receiver).iter().map(|body| ids(body).1.to_owned()).collect::<BTreeSet<_>>().len();
        eventually("it is delivered", || async { all() > round }).await;
    }
    process.kill().await;
    let process = run.start().await;
    eventually("the lag of what is joined is told", || async {
        let metrics = Client::new().get(&process.admin("/metrics")).await.unwrap().body;
        ["a", "b"]
            .iter()
            .all(|name| metrics.contains(&format!("penstock_consumer_lag{{topic=\"default-clients-{name}\"")))
    })
    .await;
    assert_eq!(process.stop().await, Some(0));
    let bodies = bodies(&receiver);
    let mut seen: Vec<_> = bodies.iter().map(ids).collect();
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
async fn two_events_are_delivered_as_one_and_a_kill_between_them_changes_nothing() {
    two_are_one_whatever_is_killed("embedded: {}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_events_are_delivered_as_one_on_jetstream_whatever_is_killed() {
    let server = NatsServer::start("");
    two_are_one_whatever_is_killed(&format!("jetstream: {{url: \"{}\"}}", server.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_events_are_delivered_as_one_on_redis_whatever_is_killed() {
    let server = RedisServer::start(&[]);
    two_are_one_whatever_is_killed(&format!("redis: {{address: \"{}\"}}", server.address())).await;
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn two_events_are_delivered_as_one_on_kafka_whatever_is_killed() {
    let server = KafkaServer::shared();
    // A group's new member waits for the one that was killed to be given up: as short as the broker takes.
    let brokers = server.address();
    let bus = format!("kafka: {{brokers: \"{brokers}\", partitions: 2, config: {{session.timeout.ms: \"6000\"}}}}");
    two_are_one_whatever_is_killed(&bus).await;
}

/// The value of the counter of an outcome of the subscriber.
async fn counted(process: &Penstock, outcome: &str) -> u64 {
    let metrics = Client::new().get(&process.admin("/metrics")).await.unwrap().body;
    let line = metrics
        .lines()
        .find(|line| line.contains("subscriber=\"both\"") && line.contains(&format!("outcome=\"{outcome}\"")));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_events_of_one_key_are_joined_and_those_without_one_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    let correlate = "condition: a && b, correlate: {by: {a: data.order, b: data.id}, maxKeys: 2}";
    write(folder.path(), port, &receiver, correlate);
    let run = Run::new(folder.path());
    let process = run.start().await;
    post_with(port, "a", "a0", "{\"order\": 0}").await;
    post_with(port, "a", "a1", "{\"order\": 1}").await;
    post_with(port, "a", "a2", "{\"order\": 2}").await;
    post_with(port, "b", "none", "{}").await;
    eventually("one has no key, and one key is too many", || async {
        counted(&process, "keyless").await == 1 && counted(&process, "evicted").await == 1
    })
    .await;
    process.kill().await;
    let process = run.start().await;
    post_with(port, "b", "b2", "{\"id\": \"2\"}").await;
    post_with(port, "b", "b0", "{\"id\": \"0\"}").await;
    post_with(port, "b", "b1", "{\"id\": \"1\"}").await;
    delivered(&receiver, 2).await;
    assert_eq!(process.stop().await, Some(0));
    let bodies = bodies(&receiver);
    let mut seen: Vec<_> = bodies.iter().map(ids).collect();
    seen.dedup();
    assert_eq!(seen, [("a2", "b2"), ("a1", "b1")], "the first key was forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_are_delivered_together_by_their_count_or_after_their_time_and_a_kill_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write(folder.path(), port, &receiver, "condition: a || b, batch: {count: 3, within: 1h}");
    let run = Run::new(folder.path());
    let process = run.start().await;
    post(port, "a", "0").await;
    post(port, "b", "1").await;
    eventually("both are gathered", || async { counted(&process, "matched").await == 2 }).await;
    process.kill().await;
    let process = run.start().await;
    post(port, "a", "2").await;
    delivered(&receiver, 1).await;
    assert_eq!(process.stop().await, Some(0));
    let members = |body: &serde_json::Value| {
        let ids = body.as_array().unwrap().iter().map(|member| member["id"].as_str().unwrap().to_owned());
        let mut ids: Vec<String> = ids.collect();
        ids.sort();
        ids
    };
    assert_eq!(members(&bodies(&receiver)[0]), ["0", "1", "2"]);
    assert_eq!(receiver.seen()[0].header("ce-type"), "events.openfunction.io.batch");
    assert_eq!(receiver.seen()[0].header("ce-source"), "/triggers/default/join/both");

    write(folder.path(), port, &receiver, "condition: a || b, batch: {within: 300ms}");
    let process = run.start().await;
    post(port, "a", "3").await;
    delivered(&receiver, 2).await;
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(members(&bodies(&receiver)[1]), ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transform_made_of_an_event_is_joined() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write(folder.path(), port, &receiver, "condition: a && b");
    let path = folder.path().join("flow.yaml");
    let script = "eventName: a, transform: {script: \"event.seen = true return event\"}}";
    let yaml = std::fs::read_to_string(&path).unwrap().replace("eventName: a}", script);
    std::fs::write(&path, yaml).unwrap();
    let process = Run::new(folder.path()).start().await;
    post(port, "a", "1").await;
    post(port, "b", "2").await;
    delivered(&receiver, 1).await;
    assert_eq!(process.stop().await, Some(0));
    let body = &bodies(&receiver)[0];
    assert_eq!(body["a"]["data"], serde_json::json!({"n": 1, "seen": true}));
    assert_eq!(body["b"]["data"], serde_json::json!({"n": 1}));
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
    const HOLD: Duration = Duration::from_secs(1);
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write(folder.path(), port, &receiver, "condition: \"a && !b\", hold: 1s, negationWindow: 1ms");
    let run = Run::new(folder.path());
    let mut process = run.start().await;
    // On a machine that is too slow a round proves nothing, and another one is played.
    for round in 0.. {
        let before = receiver.count();
        let posted = Instant::now();
        post(port, "a", &format!("cancelled{round}")).await;
        post(port, "b", &format!("stop{round}")).await;
        let in_time = posted.elapsed() < HOLD;
        // It is a moment later than the negation window.
        eventually("time goes on", {
            let start = Instant::now();
            move || async move { start.elapsed().as_millis() > 5 }
        })
        .await;
        post(port, "a", &format!("kept{round}")).await;
        process.kill().await;
        let killed_before = receiver.count() == before;
        process = run.start().await;
        delivered(&receiver, before + 1).await;
        if in_time && killed_before {
            break;
        }
    }
    assert_eq!(process.stop().await, Some(0));
    let seen: Vec<_> = receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect();
    assert!(seen.last().unwrap().starts_with("kept"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_window_is_not_joined() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let port = free_port();
    write(folder.path(), port, &receiver, "condition: a && b, window: 500ms");
    let process = Run::new(folder.path()).start().await;
    post(port, "a", "old").await;
    eventually("the window is over", {
        let start = Instant::now();
        move || async move { start.elapsed().as_millis() > 600 }
    })
    .await;
    // On a machine that is too slow these are not joined either, and the next ones are.
    for round in 0.. {
        post(port, "b", &format!("b{round}")).await;
        post(port, "a", &format!("a{round}")).await;
        if receiver.count() > 0 || round > 100 {
            break;
        }
    }
    delivered(&receiver, 1).await;
    assert_eq!(process.stop().await, Some(0));
    let bodies = bodies(&receiver);
    assert!(bodies.iter().all(|body| ids(body).0 != "old"), "{bodies:?}");
}
