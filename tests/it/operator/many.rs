//! Many objects: all come to be, nothing is written twice, and what it costs. `PENSTOCK_OBJECTS` says how many: half of
//! them are `EventSources`, half are Triggers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use kube::api::{ListParams, PostParams};
use serde_json::{Value as Json, json};

use super::rig::{DEPLOYMENT, EVENT_BUS, EVENT_SOURCE, Kind, Rig, TRIGGER, is_quiet, settled};
use crate::support::{ApiServer, PATIENCE, Penstock, apply_foreign_crds};

/// Few enough for every test run.
const USUAL: usize = 50;

/// So many are brought about within [`PATIENCE`] by any machine, however much else it does.
const WITHIN_PATIENCE: usize = 50;

fn object(kind: Kind, name: &str, spec: &Json) -> kube::api::DynamicObject {
    let object = json!({
        "apiVersion": "events.openfunction.io/v1alpha1", "kind": kind.2, "metadata": {"name": name}, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

/// Resident memory in MiB, and the most that it was.
fn resident(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mib = |field: &str| {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    (mib("VmRSS:"), mib("VmHWM:"))
}

/// The seconds that a process has kept processors busy.
fn busy(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks = stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2);
    // Linux counts in hundredths for everybody.
    ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>() / 100
}

/// Waits until nothing is left to look at; how often it has written.
async fn settled_with_many(operator: &Penstock, count: usize) -> u64 {
    let deadline = Instant::now() + PATIENCE * u32::try_from(1 + count / WITHIN_PATIENCE).unwrap();
    while !is_quiet(operator).await {
        assert!(Instant::now() < deadline, "it has something to look at for ever:\n{}", operator.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    settled(operator).await
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the figures of docs/cluster.md")]
async fn many_objects_are_brought_about_once() {
    let count = std::env::var("PENSTOCK_OBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL);
    let rig = Rig::on(Arc::new(ApiServer::start().await), "many").await;
    apply_foreign_crds(&rig.client).await;
    let bus = object(EVENT_BUS, "default", &json!({"jetstream": {"url": "nats://nats:4222"}}));
    rig.api(EVENT_BUS).create(&PostParams::default(), &bus).await.unwrap();
    let numbered = (0..count / 2).flat_map(|number| {
        let (source, trigger) = (format!("s{number}"), format!("t{number}"));
        let inputs = json!([{"name": "e", "eventSourceName": source, "eventName": "e"}]);
        let routed = json!({"eventSources": inputs, "subscribers": [{"sink": {"uri": "http://sink:8080/"}}]});
        [
            (EVENT_SOURCE, object(EVENT_SOURCE, &source, &json!({"http": {"e": {}}}))),
            (TRIGGER, object(TRIGGER, &trigger, &routed)),
        ]
    });
    let created = stream::iter(numbered).map(|(kind, object)| {
        let api = rig.api(kind);
        async move { api.create(&PostParams::default(), &object).await.unwrap() }
    });
    created.buffer_unordered(16).collect::<Vec<_>>().await;

    let (started, before) = (Instant::now(), busy(rig.server.pid()));
    let operator = rig.operator().start().await;
    let written = settled_with_many(&operator, count).await;
    let cold = started.elapsed();
    let (own, servers) = (busy(operator.pid()), busy(rig.server.pid()) - before);
    let (memory, most) = resident(operator.pid());
    let deployments = rig.api(DEPLOYMENT).list(&ListParams::default()).await.unwrap().items.len();
    assert_eq!(deployments, count / 2 * 2);
    assert_eq!(operator.stop().await, Some(0));

    let started = Instant::now();
    let again = rig.operator().start().await;
    assert_eq!(settled_with_many(&again, count).await, 0, "what is right is left alone");
    let restarted = started.elapsed();
    let (memory_again, most_again) = resident(again.pid());
    println!(
        "{count} EventSources and Triggers: {:.1} s from cold with {written} writes, {memory} MiB (once {most}), \
         processors busy for {own} s with it and {servers} s with the API server; \
         {:.1} s and no write at a restart, {memory_again} MiB (once {most_again}), {} s busy",
        cold.as_secs_f64(),
        restarted.as_secs_f64(),
        busy(again.pid()),
    );
}
