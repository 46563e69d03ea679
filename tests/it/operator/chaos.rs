//! Whatever order things happen in, and whoever is killed meanwhile, it comes to what a fresh apply comes to.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::objects::FLOW;
use super::rig::{EVENT_SOURCE, Rig, TRIGGER, settled};
use crate::support::{ApiServer, apply_foreign_crds, eventually};

/// Edits of the flow, from and to; each is one or is not.
const EDITS: [(&str, &str); 7] = [
    ("http://ship:8080/", "http://ship:8080/v2"),
    ("  http:\n    orders: {port: 8081}\n", ""),
    ("orders: {port: 8081}", "orders: {port: 9000, path: /in}"),
    ("metadata: {name: ship}\nspec:", "metadata: {name: ship}\nspec:\n  mode: shared"),
    ("nats://nats:4222", "nats://other:4222"),
    ("  cron:", "  logLevel: debug\n  cron:"),
    ("'@hourly'", "'@daily', attributes: {type: tick}"),
];

/// Edits in a row.
const ROUNDS: usize = 40;

/// What everything comes to in a namespace, without what differs between two of them.
pub async fn outcome(rig: &Rig) -> Vec<Json> {
    let mut outcome = Vec::new();
    for mut child in rig.children().await {
        let metadata = &child["metadata"];
        let kept = json!({
            "name": metadata["name"], "labels": metadata["labels"], "of": metadata["annotations"]["events.openfunction.io/of"],
            "owners": metadata["ownerReferences"].as_array().map(Vec::len),
        });
        for address in ["clusterIP", "clusterIPs"] {
            child["spec"].as_object_mut().map(|spec| spec.remove(address));
        }
        let text = json!([child["kind"], kept, child["spec"], child["data"], child["scopes"]]).to_string();
        let text = text.replace(&rig.namespace, "NAMESPACE");
        outcome.push(serde_json::from_str(&without_hashes(&text)).unwrap());
    }
    outcome
}

/// The consumer group of a direct sink is told apart by a hash, of the namespace too.
fn without_hashes(text: &str) -> String {
    let mut parts = text.split("-shop-");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        kept.push_str("-shop-");
        kept.push_str(if digits == 8 { &part[8..] } else { part });
    }
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn random_edits_and_kills_come_to_what_a_fresh_apply_comes_to() {
    let mut rig = Rig::on(Arc::new(ApiServer::start().await), "chaos").await;
    apply_foreign_crds(&rig.client).await;
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let run = rig.operator();
    let mut operator = run.start().await;
    let mut yaml = FLOW.to_owned();
    for round in 0..ROUNDS {
        yaml = EDITS.iter().filter(|_| random.bool()).fold(FLOW.to_owned(), |yaml, (from, to)| yaml.replace(from, to));
        rig.apply(&yaml).await;
        if random.u8(..4) == 0 {
            // Somewhere between two writes, or not.
            tokio::time::sleep(std::time::Duration::from_millis(random.u64(..40))).await;
            operator.kill().await;
            operator = run.start().await;
        }
        if round == ROUNDS / 2 {
            let server = Arc::get_mut(&mut rig.server).unwrap();
            server.kill();
            server.run().await;
        }
    }
    let generations = [(EVENT_SOURCE, "shop"), (TRIGGER, "ship")];
    for (kind, name) in generations {
        eventually(&format!("seed {seed}: the last edit of {name} is seen"), || async {
            let object = rig.get(kind, name).await;
            object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
        .await;
    }
    settled(&operator).await;

    let server = rig.server.clone();
    let fresh = Rig::on(server, "fresh").await;
    let _other = fresh.operator().start().await;
    fresh.apply(&yaml).await;
    let expected = || async {
        let objects = outcome(&fresh).await;
        (!objects.is_empty() && objects == outcome(&rig).await).then_some(())
    };
    eventually(&format!("seed {seed}: both come to the same:\n{yaml}"), || async { expected().await.is_some() }).await;
}
