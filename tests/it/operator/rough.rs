//! An API server that is slow or cut off, others who write as well, and clocks that are wrong.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use super::objects::FLOW;
use super::rig::{COMPONENT, CONFIG_MAP, DEPLOYMENT, EVENT_SOURCE, Rig, SERVICE, TRIGGER, settled};
use crate::support::{ApiServer, Proxy, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_api_server_takes_time_and_one_that_is_cut_off_is_waited_for() {
    let rig = Rig::new("slow").await;
    let proxy = Proxy::start(rig.server.port).await;
    proxy.delay(Duration::from_millis(100));
    let run = rig.operator_through(proxy.port);
    let operator = run.start().await;
    rig.apply(FLOW).await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    settled(&operator).await;
    let before = rig.children().await;

    // What is edited while nothing can be seen is seen afterwards.
    proxy.cut();
    rig.apply(&FLOW.replace("http://ship:8080/", "http://ship:8080/v2")).await;
    rig.delete(SERVICE, "eventsource-shop").await;
    proxy.mend();
    eventually("the plan has the edit", || async { rig.plan("trigger-ship").await.to_string().contains("/v2") }).await;
    eventually("what was deleted is back", || async { rig.find(SERVICE, "eventsource-shop").await.is_some() }).await;
    settled(&operator).await;
    assert_eq!(rig.children().await.len(), before.len());

    // It was one process all the time, and the next one has nothing left to do.
    assert_eq!(operator.stop().await, Some(0));
    let again = run.start().await;
    assert_eq!(settled(&again).await, 0, "{}", again.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_else_writes_the_objects_say_in_the_end_what_they_should() {
    let rig = Rig::new("conflicts").await;
    let operator = rig.operator().start().await;
    rig.apply(FLOW).await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    settled(&operator).await;
    let specs = || async {
        let children = rig.children().await;
        children.into_iter().map(|child| json!([child["spec"], child["data"], child["scopes"]])).collect::<Vec<_>>()
    };
    let before = specs().await;

    // Another manager who insists, on fields of every kind of object, while the objects are edited.
    let taken = PatchParams::apply("somebody-else").force();
    let container = json!([{"name": "penstock", "image": "example/other:1"}]);
    let grabs = [
        (CONFIG_MAP, "trigger-ship", json!({"data": {"plan.json": "{}"}})),
        (COMPONENT, "trigger-ship-bus", json!({"scopes": ["other"]})),
        (DEPLOYMENT, "trigger-ship", json!({"spec": {"template": {"spec": {"containers": container}}}})),
        (SERVICE, "eventsource-shop", json!({"spec": {"selector": {"app.kubernetes.io/name": "other"}}})),
    ];
    for round in 0..10 {
        for (kind, name, body) in &grabs {
            let mut patch = body.clone();
            patch["apiVersion"] =
                if kind.0.is_empty() { kind.1.into() } else { format!("{}/{}", kind.0, kind.1).into() };
            patch["kind"] = kind.2.into();
            rig.api(*kind).patch(name, &taken, &Patch::Apply(&patch)).await.unwrap();
        }
        rig.apply(&FLOW.replace("http://ship:8080/", &format!("http://ship:8080/{round}"))).await;
    }
    rig.apply(FLOW).await;
    eventually("everything is as it should be", || async { specs().await == before }).await;
    settled(&operator).await;
    assert_eq!(specs().await, before);
}

/// A Lease that somebody took who never came back.
async fn left_behind(rig: &Rig, renewed: &str) {
    let metadata = ObjectMeta { name: Some("penstock-operator".to_owned()), ..ObjectMeta::default() };
    let time = Some(MicroTime(renewed.parse().unwrap()));
    let spec = LeaseSpec {
        holder_identity: Some("gone".to_owned()),
        lease_duration_seconds: Some(1),
        acquire_time: time.clone(),
        renew_time: time,
        ..LeaseSpec::default()
    };
    let leases: Api<Lease> = Api::namespaced(rig.client.clone(), &rig.namespace);
    leases.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_by_the_clock_of_whoever_waits_whatever_is_written_in_it() {
    // Long over for a holder whose clock is behind, and hardly begun for one whose clock is ahead.
    for renewed in ["2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"] {
        let rig = Rig::new("skew").await;
        left_behind(&rig, renewed).await;
        let operator =
            rig.operator().with(["--lease-namespace", rig.namespace.as_str(), "--identity", "me"]).start().await;
        eventually("this one leads", || async { operator.log().contains("this process leads") }).await;
        assert!(operator.log().contains("another process leads"), "it was taken at first sight: {}", operator.log());
        assert_eq!(operator.stop().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_renew_the_lease_stops_and_the_other_one_goes_on() {
    let rig = Rig::on(Arc::new(ApiServer::start().await), "partition").await;
    crate::support::apply_foreign_crds(&rig.client).await;
    let proxy = Proxy::start(rig.server.port).await;
    let named = |run: crate::support::Run, name: &str| {
        run.with(["--lease-namespace", rig.namespace.as_str(), "--identity", name])
    };
    let first = named(rig.operator_through(proxy.port), "first").start().await;
    eventually("the first one leads", || async { first.log().contains("this process leads") }).await;
    let second = named(rig.operator(), "second").start().await;
    eventually("the second one waits", || async { second.log().contains("another process leads") }).await;
    rig.apply(FLOW).await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;

    proxy.cut();
    let (code, log) = first.log_when_ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("keep the lease"), "{log}");
    eventually("the second one leads", || async { second.log().contains("this process leads") }).await;
    rig.apply(&FLOW.replace("http://ship:8080/", "http://ship:8080/v2")).await;
    eventually("the second one writes", || async { rig.plan("trigger-ship").await.to_string().contains("/v2") }).await;
}
