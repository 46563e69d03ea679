//! Objects come to what they should come to, and to nothing else.

use serde_json::json;

use super::rig::{
    COMPONENT, CONFIG_MAP, DEPLOYMENT, EVENT_BUS, EVENT_SOURCE, Rig, SCALED_OBJECT, SERVICE, TRIGGER,
    TRIGGER_AUTHENTICATION, settled,
};
use crate::support::eventually;

pub const FLOW: &str = "
apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {name: default}
spec: {jetstream: {url: 'nats://nats:4222', password: {secretKeyRef: {name: nats, key: password}}, user: {secretKeyRef: {name: nats, key: user}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {name: shop}
spec:
  http:
    orders: {port: 8081}
  cron:
    tick: {schedule: '@hourly'}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {name: ship}
spec:
  eventSources: [{name: orders, eventSourceName: shop, eventName: orders}]
  subscribers: [{name: ship, sink: {uri: 'http://ship:8080/'}}]
";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_is_brought_about_and_told() {
    let rig = Rig::new("objects").await;
    let operator = rig.operator().start().await;
    rig.apply(FLOW).await;
    let message = rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    assert!(message.contains("eventsource-shop"), "{message}");
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;

    // Each was taken with fieldValidation=Strict.
    assert_eq!(
        rig.names(COMPONENT).await,
        [
            "eventsource-shop-bus",
            "eventsource-shop.orders",
            "eventsource-shop.tick",
            "trigger-ship-bus",
            "trigger-ship-state"
        ]
    );
    assert_eq!(rig.names(CONFIG_MAP).await, ["eventsource-shop", "trigger-ship"]);
    assert_eq!(rig.names(DEPLOYMENT).await, ["eventsource-shop", "trigger-ship"]);
    assert_eq!(rig.names(SERVICE).await, ["eventsource-shop"]);
    let bus = rig.get(COMPONENT, "trigger-ship-bus").await;
    let password = json!({"name": "password", "secretKeyRef": {"name": "nats", "key": "password"}});
    assert!(bus["spec"]["metadata"].as_array().unwrap().contains(&password), "{bus}");
    assert_eq!(bus["scopes"], json!(["trigger-ship"]));
    let group = rig.plan("trigger-ship").await["group"].clone();
    assert_eq!(group, format!("{}.ship", rig.namespace));

    for (kind, name, deployment) in [(EVENT_SOURCE, "shop", "eventsource-shop"), (TRIGGER, "ship", "trigger-ship")] {
        rig.pretend_available(deployment).await;
        rig.says(kind, name, "Ready", "True Available").await;
        let object = rig.get(kind, name).await;
        assert_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"]);
    }
    let source = rig.get(EVENT_SOURCE, "shop").await;
    let url = format!("http://eventsource-shop.{}.svc.cluster.local:8081/orders", rig.namespace);
    assert_eq!(source["status"]["address"], json!([{"event": "orders", "url": url}]));
    let trigger = rig.get(TRIGGER, "ship").await;
    assert_eq!(trigger["status"]["subscribers"], json!([{"name": "ship", "sink": "http://ship:8080/"}]));
    eventually("the bus counts who uses it", || async {
        rig.get(EVENT_BUS, "default").await["status"]["usedBy"] == json!({"eventSources": 1, "triggers": 1})
    })
    .await;

    // Once it is so, nobody writes any more: not at another look, and not after a restart.
    let written = settled(&operator).await;
    assert!(written > 0);
    let before = rig.children().await;
    assert_eq!(operator.stop().await, Some(0));
    let again = rig.operator().start().await;
    assert_eq!(settled(&again).await, 0, "a restart writes nothing:\n{}", again.log());
    assert_eq!(rig.children().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_changes_what_it_must_and_takes_away_what_is_left_over() {
    let rig = Rig::new("edits").await;
    let operator = rig.operator().start().await;
    rig.apply(FLOW).await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    settled(&operator).await;
    let (bus, deployment) = (rig.get(COMPONENT, "trigger-ship-bus").await, rig.get(DEPLOYMENT, "trigger-ship").await);

    // A sink is a matter of the plan alone: no pod is replaced for it.
    rig.apply(&FLOW.replace("http://ship:8080/", "http://ship:8080/v2")).await;
    eventually("the plan has the new sink", || async { rig.plan("trigger-ship").await.to_string().contains("/v2") })
        .await;
    settled(&operator).await;
    assert_eq!(rig.get(COMPONENT, "trigger-ship-bus").await, bus);
    assert_eq!(rig.get(DEPLOYMENT, "trigger-ship").await, deployment);

    // An event that is gone takes its Component along, and the port the Service.
    rig.apply(&FLOW.replace("  http:\n    orders: {port: 8081}\n", "")).await;
    eventually("what is left over is deleted", || async {
        rig.find(COMPONENT, "eventsource-shop.orders").await.is_none()
            && rig.find(SERVICE, "eventsource-shop").await.is_none()
    })
    .await;
    assert!(rig.find(COMPONENT, "eventsource-shop.tick").await.is_some());

    // What cannot be right runs on as it was, and says why.
    let before = rig.children().await;
    rig.apply(&FLOW.replace("http://ship:8080/", "ftp://ship")).await;
    let message = rig.says(TRIGGER, "ship", "Accepted", "False Invalid").await;
    assert!(message.starts_with("spec.subscribers[0].sink.uri: unknown scheme \"ftp\""), "{message}");
    rig.says(TRIGGER, "ship", "Ready", "False Invalid").await;
    settled(&operator).await;
    let of_trigger = |children: Vec<serde_json::Value>| {
        children
            .into_iter()
            .filter(|child| child["metadata"]["name"].as_str().unwrap().starts_with("trigger"))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_trigger(rig.children().await), of_trigger(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_deletes_or_changes_comes_back() {
    let rig = Rig::new("drift").await;
    let operator = rig.operator().start().await;
    rig.apply(FLOW).await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    for kind in [COMPONENT, CONFIG_MAP, DEPLOYMENT] {
        let name = if kind == COMPONENT { "trigger-ship-bus" } else { "trigger-ship" };
        let uid = rig.get(kind, name).await["metadata"]["uid"].clone();
        rig.delete(kind, name).await;
        eventually(&format!("{} {name} comes back", kind.2), || async {
            rig.find(kind, name).await.is_some_and(|found| found["metadata"]["uid"] != uid)
        })
        .await;
    }
    let patch = json!({"data": {"plan.json": "{}"}});
    rig.api(CONFIG_MAP)
        .patch("trigger-ship", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&patch))
        .await
        .unwrap();
    eventually("the plan is put right", || async { rig.plan("trigger-ship").await["group"].is_string() }).await;
    // What others add is left alone.
    let patch = json!({"metadata": {"labels": {"team": "a"}}, "spec": {"replicas": 3}});
    rig.api(DEPLOYMENT)
        .patch("trigger-ship", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&patch))
        .await
        .unwrap();
    settled(&operator).await;
    let deployment = rig.get(DEPLOYMENT, "trigger-ship").await;
    assert_eq!((&deployment["metadata"]["labels"]["team"], &deployment["spec"]["replicas"]), (&json!("a"), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_made_goes_with_its_owner() {
    let rig = Rig::new("owned").await;
    let _operator = rig.operator().start().await;
    rig.apply(FLOW).await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    let uids = [
        rig.get(EVENT_SOURCE, "shop").await["metadata"]["uid"].clone(),
        rig.get(TRIGGER, "ship").await["metadata"]["uid"].clone(),
    ];
    // The garbage collector of a cluster does the rest.
    for child in rig.children().await {
        let owner = &child["metadata"]["ownerReferences"][0];
        assert!(owner["controller"] == true && uids.contains(&owner["uid"]), "{child}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_triggers_have_one_router() {
    let rig = Rig::new("shared").await;
    let operator = rig.operator().start().await;
    let shared = FLOW.replace("metadata: {name: ship}\nspec:", "metadata: {name: ship}\nspec:\n  mode: shared");
    rig.apply(&shared).await;
    rig.apply(&shared[shared.rfind("---").unwrap()..].replace("name: ship}", "name: bill}")).await;
    eventually("both are in one plan", || async {
        let Some(map) = rig.find(CONFIG_MAP, "router-default").await else { return false };
        let text = map["data"]["plan.json"].as_str().unwrap().to_owned();
        text.contains("\"name\": \"bill\"") && text.contains("\"name\": \"ship\"")
    })
    .await;
    settled(&operator).await;
    assert_eq!(rig.names(DEPLOYMENT).await, ["eventsource-shop", "router-default"]);
    let owners = rig.get(DEPLOYMENT, "router-default").await["metadata"]["ownerReferences"].as_array().unwrap().len();
    assert_eq!(owners, 2);
    rig.pretend_available("router-default").await;
    rig.says(TRIGGER, "bill", "Ready", "True Available").await;

    // One that becomes wrong runs on as it was; the others are not held up.
    rig.apply(&shared.replace("http://ship:8080/", "ftp://ship")).await;
    rig.says(TRIGGER, "ship", "Accepted", "False Invalid").await;
    settled(&operator).await;
    assert!(rig.plan("router-default").await.to_string().contains("http://ship:8080/"));

    // One that leaves has a router of its own; the last one takes the shared one along.
    rig.apply(FLOW).await;
    eventually("ship has its own", || async { rig.find(DEPLOYMENT, "trigger-ship").await.is_some() }).await;
    eventually("the shared one has the other alone", || async {
        rig.plan("router-default").await["triggers"].as_array().unwrap().len() == 1
    })
    .await;
    rig.delete(TRIGGER, "bill").await;
    eventually("nobody shares it", || async { rig.find(DEPLOYMENT, "router-default").await.is_none() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_lag_keda_knows_is_scaled_by_it() {
    let rig = Rig::new("scaled").await;
    let operator = rig.operator().start().await;
    let scaled = FLOW.replace(
        "  http:\n    orders: {port: 8081}\n",
        "  redis:\n    orders: {redisHost: 'redis:6379', redisPassword: {secretKeyRef: {name: r, key: p}}, scaleOption: {lagThreshold: '5', maxReplicaCount: 4}}\n",
    );
    rig.apply(&scaled).await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    // Taken with fieldValidation=Strict by KEDA's own definitions.
    let object = rig.get(SCALED_OBJECT, "eventsource-shop").await;
    assert_eq!(object["spec"]["maxReplicaCount"], 4);
    assert!(rig.find(TRIGGER_AUTHENTICATION, "eventsource-shop.orders").await.is_some());
    settled(&operator).await;
    rig.apply(&scaled.replace(", scaleOption: {lagThreshold: '5', maxReplicaCount: 4}", "")).await;
    eventually("what scales it is gone with the option", || async {
        rig.names(SCALED_OBJECT).await.is_empty() && rig.names(TRIGGER_AUTHENTICATION).await.is_empty()
    })
    .await;
}
