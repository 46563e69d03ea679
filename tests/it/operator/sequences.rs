//! Whatever the edits were on the way, the objects are those of a fresh apply. `PENSTOCK_SEQUENCES` says how many ways
//! are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use serde_json::{Value as Json, json};

use super::chaos::outcome;
use super::rig::{EVENT_BUS, EVENT_SOURCE, Kind, Rig, TRIGGER, settled};
use crate::support::{ADMIN, ApiServer, PATIENCE, Run, apply_foreign_crds, eventually};

/// Few enough for every test run.
const USUAL: usize = 6;

/// The most edits of one sequence.
const LONGEST: usize = 6;

/// Edits; each is made or is not.
const EDITS: usize = 12;

/// Which edits are made.
type Edits = [bool; EDITS];

/// The bus, the source and the Trigger with these edits.
fn documents(edits: &Edits) -> [(Kind, &'static str, Json); 3] {
    let [other_bus, scaled, no_port, moved_port, debug, tick, queue, shared, retarget, template, joins, direct] =
        *edits;
    let secret = |key: &str| json!({"secretKeyRef": {"name": "s", "key": key}});
    let mut bus = if other_bus {
        json!({"redis": {"address": "r:6379", "password": secret("p")}})
    } else {
        json!({"jetstream": {"url": "nats://nats:4222"}})
    };
    if scaled {
        bus["scaleOption"] = json!({"natsServerMonitoringEndpoint": "nats:8222", "maxReplicaCount": 4});
    }
    let mut source = json!({"cron": {"tick": {"schedule": if tick { "@daily" } else { "@hourly" }}}});
    if !no_port {
        source["http"] = json!({"orders": {"port": if moved_port { 9000 } else { 8081 }}});
    }
    if debug {
        source["logLevel"] = "debug".into();
    }
    if queue {
        source["rabbitmq"] = json!({"q": {"url": "amqp://q:5672", "queue": "q", "scaleOption": {}}});
    }
    if direct {
        source["sink"] = json!({"uri": "http://direct:8080/"});
    }
    let uri = if retarget { "http://ship:8080/v2" } else { "http://ship:8080/" };
    let mut subscriber = json!({"name": "ship", "condition": "orders || tick", "sink": {"uri": uri}});
    if joins {
        subscriber["condition"] = "orders && tick".into();
    }
    let input = |event: &str| json!({"name": event, "eventSourceName": "shop", "eventName": event});
    let mut trigger = json!({"eventSources": [input("orders"), input("tick")], "subscribers": [subscriber]});
    if shared {
        trigger["mode"] = "shared".into();
    }
    if template {
        trigger["template"] = json!({"spec": {"nodeSelector": {"pool": "events"}}});
    }
    [(EVENT_BUS, "default", bus), (EVENT_SOURCE, "shop", source), (TRIGGER, "ship", trigger)]
}

async fn apply(rig: &Rig, edits: &Edits) {
    for (kind, name, spec) in documents(edits) {
        let object = json!({
            "apiVersion": "events.openfunction.io/v1alpha1", "kind": kind.2, "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("test").force();
        rig.api(kind).patch(name, &params, &Patch::Apply(&object)).await.unwrap();
    }
}

/// Whether the operator has seen the last edit of everything.
async fn is_seen(rig: &Rig) -> bool {
    for (kind, name) in [(EVENT_BUS, "default"), (EVENT_SOURCE, "shop"), (TRIGGER, "ship")] {
        let Some(object) = rig.find(kind, name).await else { return false };
        if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "how many ways were gone")]
async fn whatever_the_way_the_objects_are_those_of_a_fresh_apply() {
    let count = std::env::var("PENSTOCK_SEQUENCES").ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL);
    let server = Arc::new(ApiServer::start().await);
    let rig = Rig::on(server.clone(), "edited").await;
    apply_foreign_crds(&rig.client).await;
    let words = ["operator".into(), "--kubeconfig".into(), server.kubeconfig(ADMIN).into_os_string()];
    let operator = Run::command::<std::ffi::OsString>(words, rig.folder.path()).start().await;
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut made = 0;
    for sequence in 0..count {
        let mut edits = Edits::default();
        for _ in 0..random.usize(1..=LONGEST) {
            edits = std::array::from_fn(|_| random.bool());
            apply(&rig, &edits).await;
            made += 1;
            // Somebody changes his mind: what was made for it is found again.
            if random.u8(..4) == 0 {
                let (kind, name) = if random.bool() { (EVENT_SOURCE, "shop") } else { (TRIGGER, "ship") };
                rig.delete(kind, name).await;
                apply(&rig, &edits).await;
            }
        }
        let fresh = Rig::on(server.clone(), "fresh").await;
        apply(&fresh, &edits).await;
        for rig in [&rig, &fresh] {
            eventually("the last edits are seen", || is_seen(rig)).await;
        }
        settled(&operator).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (expected, found) = (outcome(&fresh).await, outcome(&rig).await);
            if expected == found && !found.is_empty() {
                break;
            }
            let differ = |all: &[Json], others: &[Json]| -> Vec<String> {
                all.iter().filter(|one| !others.contains(one)).map(ToString::to_string).collect()
            };
            assert!(
                Instant::now() < deadline,
                "seed {seed}, sequence {sequence}, {edits:?}: {:#?} became {:#?}",
                differ(&expected, &found),
                differ(&found, &expected),
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    println!("{count} sequences of {made} random edits came to the objects of a fresh apply");
}
