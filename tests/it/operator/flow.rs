//! What the operator writes runs: events flow from a source to a sink, and an edit of the Trigger shows.

use super::pod::Pod;
use super::rig::{EVENT_SOURCE, Rig, TRIGGER, settled};
use crate::process::dlq::{Sink, dlq};
use crate::support::{Client, NatsServer, Receiver, eventually, free_port};

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the figures of docs/cluster.md")]
async fn what_is_generated_runs_and_an_edit_shows() {
    let (rig, nats) = (Rig::new("flow").await, NatsServer::start(""));
    let (first, second, port) = (Receiver::start().await, Sink::start().await, free_port());
    let operator = rig.operator().start().await;
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {{name: default}}
spec: {{nats: {{native: {{natsURL: '{}', subscriptionType: topic, natsStreamingClusterID: stan}}}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: shop}}
spec:
  http:
    orders: {{port: {port}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: ship}}
spec:
  eventSources:
    - {{name: orders, eventSourceName: shop, eventName: orders, filters: {{data: [{{path: total, type: number, comparator: '>', value: ['100']}}]}}}}
  subscribers: [{{name: ship, sink: {{uri: '{}'}}}}]
",
        nats.url(),
        first.uri("/ship"),
    );
    rig.apply(&yaml).await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    settled(&operator).await;
    let (intake, router) = (Pod::start(&rig, "eventsource-shop").await, Pod::start(&rig, "trigger-ship").await);

    let client = Client::new();
    let send = |id: &'static str, body: &'static str| {
        let (client, uri) = (client.clone(), format!("http://127.0.0.1:{port}/orders"));
        async move {
            let answer = client.event(&uri, id, "order", body).await.unwrap();
            assert_eq!(answer.code, 202, "{}", answer.body);
        }
    };
    send("small", r#"{"total": 5}"#).await;
    send("large", r#"{"total": 500}"#).await;
    eventually("the event that passes the filter arrives", || async { !first.seen().is_empty() }).await;
    let seen = first.seen();
    assert_eq!((seen.len(), seen[0].header("ce-id"), seen[0].path.as_str()), (1, "large", "/ship"));

    // The edit reaches the running pod by its ConfigMap alone.
    let started = std::time::Instant::now();
    let edited = yaml.replace("'>', value: ['100']", "'<', value: ['100']").replace(
        &format!("{{uri: '{}'}}}}", first.uri("/ship")),
        &format!(
            "{{uri: '{}'}}}}, {{name: bill, sink: {{uri: '{}'}}}}",
            second.receiver.uri("/v2"),
            second.receiver.uri("/bad"),
        ),
    );
    rig.apply(&edited).await;
    eventually("the plan has the new sink", || async { rig.plan("trigger-ship").await.to_string().contains("/v2") })
        .await;
    let applied = || router.penstock.log().matches("the plan is applied").count();
    let before = applied();
    let written = started.elapsed();
    router.sync().await;
    eventually("the pod has the new plan", || async { applied() > before }).await;
    println!(
        "an edit of a Trigger: {} ms from kubectl apply to the new plan in the ConfigMap, {} ms until the router had it",
        written.as_millis(),
        started.elapsed().as_millis(),
    );
    send("tiny", r#"{"total": 1}"#).await;
    eventually("the new sink has it", || async { second.ids("/v2") == ["tiny"] }).await;
    assert_eq!(first.seen().len(), 1);

    // What the other one refuses is a dead letter. `kubectl port-forward` ends at the admin port, inside the pod.
    let ports = &router.template["spec"]["containers"][0]["ports"];
    assert!(ports.as_array().unwrap().iter().any(|port| port["name"] == "admin" && port["containerPort"] == 9091));
    let admin = router.penstock.admin("").replace("http://", "");
    let letter = format!("{}/ship/bill  rejected, 1 attempts  {}-shop-orders-dlq/", rig.namespace, rig.namespace);
    let told = |arguments: &'static [&'static str]| {
        let admin = admin.clone();
        async move { dlq(&[arguments, &["--admin", &admin]].concat()).await.1 }
    };
    eventually("the pod tells of a dead letter", || async { told(&["list"]).await.contains(&letter) }).await;
    second.mend();
    eventually("it is sent again", || async {
        told(&["replay", "tiny"]).await.ends_with("1 dead letter: 1 sent again, 0 not\n")
    })
    .await;
    eventually("its subscriber has it", || async { second.ids("/bad") == ["tiny", "tiny"] }).await;
    assert_eq!((second.ids("/v2").len(), told(&["list"]).await.as_str()), (1, "no dead letter\n"));
    // An intake has the bus, and knows no Triggers.
    let (code, why) = dlq(&["list", "--admin", &intake.penstock.admin("").replace("http://", "")]).await;
    assert!(code == Some(1) && why.contains("this process knows no dead letters: ask a router"), "{why}");
}
