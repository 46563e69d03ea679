//! Sources that look at the cluster, and at the clock: what they may see, and what they remember.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams};

use super::pod::Pod;
use super::rig::{CONFIG_MAP, EVENT_SOURCE, Rig, TRIGGER, settled};
use crate::support::{NatsServer, Receiver, eventually};

/// A bus, an `EventSource` with one event, and where it goes.
fn flow(nats: &NatsServer, event: &str, sink: &str) -> String {
    format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {{name: default}}
spec: {{jetstream: {{url: '{}'}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: look}}
spec: {{{event}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: ship}}
spec:
  eventSources: [{{name: it, eventSourceName: look, eventName: it}}]
  subscribers: [{{name: ship, sink: {{uri: '{sink}'}}}}]
",
        nats.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_sees_what_its_account_may_and_nothing_else() {
    let (rig, nats, receiver) = (Rig::new("watching").await, NatsServer::start(""), Receiver::start().await);
    let operator = rig.operator().start().await;
    let event = "kubernetes: {it: {apiVersion: v1, kind: ConfigMap, labelSelector: look=yes, events: [added]}}";
    rig.apply(&flow(&nats, event, &receiver.uri("/"))).await;
    rig.says(EVENT_SOURCE, "look", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    settled(&operator).await;
    let account = rig.server.account_token(&rig.namespace, "eventsource-look").await;
    let client = rig.server.client(&account).await;
    let list = ListParams::default();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &rig.namespace);
    eventually("the account may look", || async { maps.list(&list).await.is_ok() }).await;
    assert!(Api::<Secret>::namespaced(client.clone(), &rig.namespace).list(&list).await.is_err());
    assert!(Api::<ConfigMap>::namespaced(client, "default").list(&list).await.is_err());

    let (_intake, _router) = (Pod::start(&rig, "eventsource-look").await, Pod::start(&rig, "trigger-ship").await);
    // A watch begins some time after the pod is ready.
    let made = AtomicU32::new(0);
    eventually("an object is an event", || async {
        let name = format!("look-{}", made.fetch_add(1, Ordering::Relaxed));
        rig.apply(&format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, labels: {{look: 'yes'}}}}}}"))
            .await;
        !receiver.seen().is_empty()
    })
    .await;
    let seen = receiver.seen().remove(0);
    assert_eq!(seen.header("ce-type"), "events.openfunction.io.kubernetes.added");
    assert!(rig.names(CONFIG_MAP).await.contains(&"look-0".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_not_there_is_told() {
    let rig = Rig::new("unknown").await;
    let _operator = rig.operator().start().await;
    let nats = NatsServer::start("");
    let event = "kubernetes: {it: {apiVersion: example.org/v1, kind: Thing}}";
    rig.apply(&flow(&nats, event, "http://127.0.0.1:1/")).await;
    let message = rig.says(EVENT_SOURCE, "look", "Deployed", "False KindMissing").await;
    assert!(message.contains("spec.kubernetes.it") && message.contains("no kind Thing of example.org/v1"), "{message}");
    rig.apply(&flow(&nats, "kubernetes: {it: {apiVersion: v1, kind: Node}}", "http://127.0.0.1:1/")).await;
    rig.says(EVENT_SOURCE, "look", "Deployed", "False Progressing").await;
    let (said, message) = rig.condition(EVENT_SOURCE, "look", "Accepted").await;
    assert!(said == "True Valid" && message.contains("list and watch on nodes"), "{said}: {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_made_up_for_in_another_pod() {
    let (rig, nats, receiver) = (Rig::new("schedules").await, NatsServer::start(""), Receiver::start().await);
    let operator = rig.operator().start().await;
    rig.apply(&flow(&nats, "cron: {it: {schedule: '@every 1s', catchUp: all}}", &receiver.uri("/"))).await;
    rig.says(EVENT_SOURCE, "look", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    settled(&operator).await;
    let _router = Pod::start(&rig, "trigger-ship").await;
    let ticks = || {
        let parse = |time: &str| time.parse::<Timestamp>().unwrap().as_second();
        let mut ticks: Vec<i64> = receiver.seen().iter().map(|seen| parse(seen.header("ce-time"))).collect();
        ticks.sort_unstable();
        ticks.dedup();
        ticks
    };
    let first = Pod::start(&rig, "eventsource-look").await;
    eventually("it ticks", || async { ticks().len() > 1 }).await;
    let folder = first.folder.clone();
    drop(first);
    let before = ticks().len();
    // What a pod keeps goes with it.
    std::fs::remove_dir_all(folder).unwrap();
    let _second = Pod::start(&rig, "eventsource-look").await;
    // Starting takes longer than a second: without the bus, what was missed would be missing.
    eventually("it ticks on", || async { ticks().len() > before + 3 }).await;
    eventually("no tick is missing", || async {
        let ticks = ticks();
        ticks.windows(2).all(|pair| pair[1] - pair[0] == 1)
    })
    .await;
}
