//! Joins behind daprd, on real buses, while its processes are killed.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value as Json;

use super::children::Child;
use super::flow::through_daprd;
use super::kill::kill;
use crate::support::{Client, NatsServer, Penstock, Receiver, Run, eventually, free_port, write_pair};

/// One subscriber joins events of both webhooks by a key, one gathers all of them, one gets each.
fn subscribers(receiver: &Receiver) -> [String; 3] {
    let (joined, book, each) = (receiver.uri("/joined"), receiver.uri("/book"), receiver.uri("/each"));
    [
        format!(
            "name: both, condition: a && b, correlate: {{by: {{a: data.n, b: data.n}}}}, sink: {{uri: \"{joined}\"}}"
        ),
        format!("name: book, condition: a || b, batch: {{count: 3, within: 300ms}}, sink: {{uri: \"{book}\"}}"),
        format!("name: each, condition: a, sink: {{uri: \"{each}\"}}"),
    ]
}

/// Posts an event of the key `n`, with `n` times so many bytes, until it is taken.
async fn post(port: u16, name: &str, n: usize, unit: usize) {
    let uri = format!("http://127.0.0.1:{port}/{name}");
    let (client, body) = (Client::new(), format!("{{\"n\": {n}, \"big\": \"{}\"}}", "x".repeat(n * unit)));
    eventually("an event is taken", || async {
        client.event(&uri, &format!("{name}{n}"), "t", &body).await.is_ok_and(|answer| answer.code == 202)
    })
    .await;
}

/// The bodies that were received under a path.
fn bodies(receiver: &Receiver, path: &str) -> Vec<Json> {
    let seen = receiver.seen();
    seen.iter().filter(|seen| seen.path == path).map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
}

/// The ids that were joined, each pair once however often it was delivered.
fn pairs(receiver: &Receiver) -> BTreeSet<(String, String)> {
    let id = |body: &Json, name: &str| body[name]["id"].as_str().unwrap().to_owned();
    bodies(receiver, "/joined").iter().map(|body| (id(body, "a"), id(body, "b"))).collect()
}

async fn joined(receiver: &Receiver, n: usize) {
    let pair = (format!("a{n}"), format!("b{n}"));
    eventually(&format!("pair {n} is joined"), || async { pairs(receiver).contains(&pair) }).await;
}

async fn metric(process: &Penstock, line: &str) {
    let page = process.admin("/metrics");
    eventually(line, || async { Client::new().get(&page).await.is_ok_and(|answer| answer.body.contains(line)) }).await;
}

fn run(folder: &Path) -> Run {
    Run::new(folder).with(through_daprd())
}

async fn whatever_is_killed(bus: &str, unit: usize) {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    write_pair(folder.path(), bus, port, &subscribers(&receiver));
    let process = run(folder.path()).start().await;
    let mut killed: Vec<Child> = Vec::new();
    post(port, "b", 0, unit).await;
    post(port, "a", 0, unit).await;
    joined(&receiver, 0).await;
    for (round, word) in (1..).zip(["daprd", "router", "component"]) {
        // One event is held, and perhaps not decided on, when the process is killed.
        post(port, "a", round, unit).await;
        kill(process.pid(), word, &mut killed).await;
        post(port, "b", round, unit).await;
        joined(&receiver, round).await;
    }
    metric(&process, "penstock_consumer_lag{process=\"router\",topic=\"default-clients-b\"").await;
    // What is held outlives all of them.
    post(port, "a", 4, unit).await;
    eventually("all single events arrive", || async {
        let ids: BTreeSet<String> = receiver
            .seen()
            .iter()
            .filter(|seen| seen.path == "/each")
            .map(|seen| seen.header("ce-id").to_owned())
            .collect();
        ids.len() == 5
    })
    .await;
    assert_eq!(process.stop().await, Some(0));
    let process = run(folder.path()).start().await;
    post(port, "b", 4, unit).await;
    joined(&receiver, 4).await;
    let all: BTreeSet<String> = (0..5).flat_map(|n| [format!("a{n}"), format!("b{n}")]).collect();
    eventually("every event is in a batch", || async {
        let batches = bodies(&receiver, "/book");
        let ids = batches.iter().flat_map(|batch| batch.as_array().unwrap()).map(|event| event["id"].as_str().unwrap());
        ids.map(str::to_owned).collect::<BTreeSet<_>>() == all
    })
    .await;
    assert_eq!(process.stop().await, Some(0));
    let wanted: BTreeSet<_> = (0..5).map(|n| (format!("a{n}"), format!("b{n}"))).collect();
    assert_eq!(pairs(&receiver), wanted, "nothing else was joined");
    // A kill may make a delivery come twice, but under the same id.
    let seen = receiver.seen();
    let ids: BTreeSet<_> = seen.iter().filter(|seen| seen.path == "/joined").map(|seen| seen.header("ce-id")).collect();
    assert_eq!(ids.len(), 5, "{ids:?}");
    assert!(bodies(&receiver, "/book").iter().all(|batch| (1..=3).contains(&batch.as_array().unwrap().len())));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_joined_and_gathered_behind_daprd_whatever_is_killed() {
    // Two of them joined are too large for one call of daprd.
    whatever_is_killed("embedded: {}", 250_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_joined_and_gathered_behind_daprd_on_jetstream_whatever_is_killed() {
    let server = NatsServer::start("");
    whatever_is_killed(&format!("jetstream: {{url: \"{}\"}}", server.url()), 60_000).await;
}
