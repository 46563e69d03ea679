//! Many objects: all come to be, nothing is written twice, and what it costs. `PENSTOCK_OBJECTS` says how many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use kube::api::{ListParams, PostParams};
use serde_json::{Value as Json, json};

use super::rig::{DEPLOYMENT, EVENT_BUS, EVENT_SOURCE, Kind, Rig, TRIGGER, is_quiet, settled};
use crate::support::{ApiServer, PATIENCE, apply_foreign_crds};

/// Few enough for every test run.
const USUAL: usize = 25;

fn object(kind: Kind, name: &str, spec: &Json) -> kube::api::DynamicObject {
    let object = json!({
        "apiVersion": "events.openfunction.io/v1alpha1", "kind": kind.2, "metadata": {"name": name}, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

/// Resident memory in MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the figures of docs/cluster.md")]
async fn many_objects_are_brought_about_once() {
    let count = std::env::var("PENSTOCK_OBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL);
    let rig = Rig::on(Arc::new(ApiServer::start().await), "many").await;
    apply_foreign_crds(&rig.client).await;
    let bus = object(EVENT_BUS, "default", &json!({"jetstream": {"url": "nats://nats:4222"}}));
    rig.api(EVENT_BUS).create(&PostParams::default(), &bus).await.unwrap();
    let numbered = (0..count).flat_map(|number| {
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

    let started = Instant::now();
    let operator = rig.operator().start().await;
    // A machine that does other things as well takes its time with many.
    for _ in 0..count / 100 {
        let quiet = async {
            while !is_quiet(&operator).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, quiet).await.is_ok() {
            break;
        }
    }
    let written = settled(&operator).await;
    let cold = started.elapsed();
    let memory = resident(operator.pid());
    let deployments = rig.api(DEPLOYMENT).list(&ListParams::default()).await.unwrap().items.len();
    assert_eq!(deployments, 2 * count);
    assert_eq!(operator.stop().await, Some(0));

    let started = Instant::now();
    let again = rig.operator().start().await;
    assert_eq!(settled(&again).await, 0, "what is right is left alone");
    println!(
        "{count} EventSources and {count} Triggers: {:.1} s from cold with {written} writes, {memory} MiB; \
         {:.1} s and no write at a restart, {} MiB",
        cold.as_secs_f64(),
        started.elapsed().as_secs_f64(),
        resident(again.pid()),
    );
}
