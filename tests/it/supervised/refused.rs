use std::fs;

use super::flow::through_daprd;
use crate::support::{free_port, output, refused, sink, write_flow};

/// Starts the usual flow with these arguments, which must fail; what was printed.
async fn failed(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_flow(folder.path(), free_port(), &sink("http://127.0.0.1:1/"));
    let (flow, data) = (folder.path().to_str().unwrap(), folder.path().join("data"));
    let common = ["run", "-f", flow, "--data-dir", data.to_str().unwrap(), "--admin", "127.0.0.1:0"];
    let out = output(common.iter().chain(arguments)).await;
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(!data.exists(), "{text}");
    text
}

#[tokio::test]
async fn a_daprd_that_is_not_there_or_will_not_do_is_told_with_advice() {
    let text = failed(&["--dapr", "--daprd", "/no/such/daprd"]).await;
    assert!(text.contains("there is no file /no/such/daprd (--daprd)"), "{text}");
    let text = failed(&["--dapr", "--daprd", "/bin/true"]).await;
    assert!(text.contains("is no daprd: it does not tell its version") && text.contains("dapr init --slim"), "{text}");
}

#[tokio::test]
async fn what_daprd_has_no_component_for_is_refused_by_its_field() {
    let yaml = "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {name: default}
spec: {natsStreaming: {natsURL: nats://127.0.0.1:1, natsStreamingClusterID: stan, startAtSequence: 5}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {name: shop}
spec: {http: {orders: {}}}
";
    let text = refused(yaml, through_daprd()).await;
    assert!(text.contains("spec.natsStreaming.startAtSequence: cannot be said to a component"), "{text}");
}

#[tokio::test]
async fn a_bus_of_daprs_own_needs_daprd_and_its_component() {
    let yaml = "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {name: default}
spec: {component: {name: broker}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {name: shop}
spec: {http: {orders: {}, bills: {}}}
";
    let check = |text: &str, expected: &str| assert!(text.contains(expected), "{text}");
    let text = refused::<&str>(yaml, []).await;
    check(
        &text,
        ":4:8: EventBus default/default: spec.component: a bus that is a Dapr Component is reached through daprd",
    );
    check(&text, "penstock run --dapr starts one");
    let text = refused(yaml, through_daprd()).await;
    check(
        &text,
        "spec.component.name: there is no Component \"broker\" in the files (its YAML belongs to the files (-f)",
    );
    let component = "---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: broker}
spec: {type: state.in-memory, version: v1}
";
    let text = refused(&format!("{yaml}{component}"), through_daprd()).await;
    check(&text, "spec.component.name: Component default/broker: \"state.in-memory\" is no pub/sub component");
    let join = "---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {name: both}
spec:
  eventSources: [{name: a, eventSourceName: shop, eventName: orders}, {name: b, eventSourceName: shop, eventName: bills}]
  subscribers: [{condition: a && b, sink: {uri: 'http://127.0.0.1:1/'}}]
";
    let component = component.replace("state.in-memory", "pubsub.in-memory");
    let text = refused(&format!("{yaml}{component}{join}"), through_daprd()).await;
    check(&text, "joining or gathering events on this bus (embedded, jetstream, redis can) is not supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_ends_the_start_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    write_flow(folder.path(), taken.local_addr().unwrap().port(), &sink("http://127.0.0.1:1/"));
    let data = folder.path().join("data");
    let [dapr, named, path] = through_daprd();
    let arguments = ["run", "-f", folder.path().to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let out = output(arguments.iter().chain(&["--admin", "127.0.0.1:0", &dapr, &named, &path])).await;
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("daprd ended before all were ready") && text.contains("in use"), "{text}");
    assert!(fs::exists(data.join("dapr/resources")).unwrap());
}
