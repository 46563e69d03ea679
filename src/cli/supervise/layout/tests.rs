//! What daprd and the workloads are told about documents.

use super::*;
use crate::cli::check;
use crate::cli::documents;
use crate::cli::report::Report;
use crate::cli::run;
use crate::cli::secrets::Local;

fn written(yaml: &str) -> (Layout, String) {
    written_with(yaml, &Local::new(None))
}

fn written_with(yaml: &str, secrets: &Local) -> (Layout, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.yaml");
    std::fs::write(&path, yaml).unwrap();
    let (documents, mut report) = documents::load(&[path], &mut std::io::empty());
    check::judge(&documents, check::Access::Daprd, secrets, &mut report);
    let plan = run::plan(&documents, run::Reach::Daprd, secrets, &mut report);
    assert!(!report.has_errors(), "{}", text(&report));
    let layout = layout(&documents, &plan, secrets, &mut report);
    (layout, text(&report))
}

fn text(report: &Report) -> String {
    let mut text = Vec::new();
    report.write_lines(&mut text, false).unwrap();
    String::from_utf8(text).unwrap()
}

const FLOW: &str = "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {name: shop}
spec:
  http:
    orders: {attributes: {type: order}, maxBodyBytes: 64Ki, bearer: {env: PATH}, response: {code: 200}}
  cron:
    tick: {schedule: '@every 1h', data: 5}
  sink: {uri: 'http://127.0.0.1:1/'}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {name: ship}
spec:
  eventSources: [{name: orders, eventSourceName: shop, eventName: orders}]
  subscribers: [{name: ship, sink: {uri: 'http://127.0.0.1:1/'}}]
";

#[test]
fn documents_become_components_and_plans() {
    let (layout, report) = written(FLOW);
    assert!(!report.contains("error"), "{report}");
    let components: Vec<String> = layout.components.iter().map(ToString::to_string).collect();
    assert!(components[0].contains("name: \"default.default\""), "{}", components[0]);
    let orders = components.iter().find(|component| component.contains("eventsource.http")).unwrap();
    let expected = "metadata:
  name: \"default.shop.orders\"
spec:
  type: pubsub.eventsource.http
  version: v1
  metadata:
    - name: source
      value: \"/default/shop/orders\"
";
    assert!(orders.contains(expected), "{orders}");
    for part in [
        "maxBodyBytes\n      value: \"64Ki\"",
        "bearer\n      envRef: PENSTOCK_SECRET_1",
        "path\n      value: \"/orders\"",
    ] {
        assert!(orders.contains(part), "{orders}");
    }
    assert_eq!(layout.secrets.len(), 1);
    assert_eq!(layout.kinds.iter().collect::<Vec<_>>(), ["eventbus.embedded", "eventsource.cron", "eventsource.http"]);
    let [intake, router] = layout.workloads.as_slice() else { panic!("{:?}", layout.workloads) };
    let orders = intake.plan["feeds"].as_array().unwrap().iter().find(|feed| feed["event"] == "orders").unwrap();
    assert_eq!(orders["attributes"], json!({"type": "order"}));
    assert_eq!(orders["to"], "default-shop-orders");
    let names: Vec<&str> =
        router.plan["triggers"].as_array().unwrap().iter().map(|trigger| trigger["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ship", "@shop"]);
    assert_eq!(router.plan["triggers"][1]["spec"]["subscribers"][0]["condition"], "event0 || event1");
}

#[test]
fn what_has_no_place_is_refused_by_name() {
    let check = |from: &str, to: &str, expected: &str| {
        let (_, report) = written(&FLOW.replace(from, to));
        assert!(report.contains(expected), "{report}");
    };
    check(
        "code: 200",
        "body: 'id {uuid}'",
        "spec.http.orders.response.body: daprd would put something else in the place of {uuid}",
    );
    let streaming = "natsStreaming: {natsURL: 'nats://127.0.0.1:1', natsStreamingClusterID: stan, startAtSequence: 5}";
    let bus = "\n---\napiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {name: default}\nspec: {@}\n---\napiVersion";
    let (_, report) = written(&FLOW.replacen("\n---\napiVersion", &bus.replace('@', streaming), 1));
    assert!(report.contains("spec.natsStreaming.startAtSequence: cannot be said to a component"), "{report}");
}

/// The Component of the event `e`, with these settings; and what daprd is told as secrets.
fn source(kind: &str, settings: &str) -> (String, Vec<String>) {
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1\nkind: EventSource\nmetadata: {{name: shop}}\n\
         spec: {{{kind}: {{e: {{{settings}}}}}}}\n"
    );
    let (layout, report) = written(&yaml);
    assert!(!report.contains("error"), "{report}");
    assert!(layout.kinds.contains(&format!("eventsource.{kind}")), "{:?}", layout.kinds);
    let secrets = layout.secrets.iter().map(|(_, secret)| secret.expose().to_owned()).collect();
    let ty = format!("type: pubsub.eventsource.{kind}\n");
    let mut components = layout.components.iter().map(ToString::to_string);
    (components.find(|component| component.contains(&ty)).unwrap(), secrets)
}

#[test]
fn every_kind_of_source_becomes_a_component() {
    let check = |kind: &str, settings: &str, expected: &[&str]| {
        let (component, secrets) = source(kind, settings);
        for part in expected {
            assert!(component.contains(part), "{part}: {component}");
        }
        for secret in secrets {
            assert!(!component.contains(&secret), "{secret}: {component}");
        }
    };
    let backoff = "connectionBackoff: {duration: 2s, factor: 1.5, steps: 7}";
    let mqtt = format!("url: 'mqtt://u:hunter2@b', topic: t, consumerID: me, qos: 2, {backoff}");
    check(
        "mqtt",
        &mqtt,
        &[
            "url\n      envRef: PENSTOCK_SECRET_1",
            "clientID\n      value: \"me\"",
            "connectionBackoff.duration\n      value: \"2s\"",
            "connectionBackoff.factor\n      value: \"1.5\"",
        ],
    );
    check("rabbitmq", "url: 'amqp://b', queue: q, prefetch: 9", &["queue\n      value: \"q\"", "value: \"9\""]);
    let redis = "redisHost: 'r:6379', redisPassword: hunter2, poolSize: 3, fromBeginning: true";
    check("redis", redis, &["stream\n      value: \"e\"", "redisPassword\n      envRef: PENSTOCK_SECRET_1"]);
    let nats = "url: 'nats://n', subject: s.>, jetstream: {stream: S, durable: d}, token: {env: PATH}";
    check("nats", nats, &["jetstream.durable\n      value: \"d\"", "token\n      envRef: PENSTOCK_SECRET_1"]);
    let events = "events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'], filter: {prefix: a}";
    let webhook = format!("mode: webhook, bearer: {{env: PATH}}, {events}");
    let both = "events\n      value: \"s3:ObjectCreated:*,s3:ObjectRemoved:*\"";
    check("s3", &webhook, &["path\n      value: \"/e\"", both, "filter.prefix\n      value: \"a\""]);
    let listen = "mode: listen, endpoint: 'http://m:9000', accessKey: {env: PATH}, secretKey: {env: PATH}";
    check("s3", listen, &["endpoint\n      value: \"http://m:9000\"", "secretKey\n      envRef: PENSTOCK_SECRET_"]);
    assert!(!source("s3", listen).0.contains("path"));
}

#[test]
fn every_kind_of_bus_becomes_a_component() {
    let check = |block: &str, expected: &[&str]| {
        let bus = format!(
            "\n---\napiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default}}\n\
             spec: {{{block}, retention: {{age: 2h}}, dedupWindow: 1m}}\n---\napiVersion"
        );
        let (layout, report) = written(&FLOW.replacen("\n---\napiVersion", &bus, 1));
        assert!(!report.contains("error"), "{report}");
        let component = layout.components[0].to_string();
        let common = ["name: \"default.default\"", "retention.age\n      value: \"2h\"", "value: \"1m\""];
        for part in common.iter().chain(expected) {
            assert!(component.contains(part), "{part}: {component}");
        }
    };
    check("embedded: {}", &["type: pubsub.eventbus.embedded"]);
    let jetstream = "jetstream: {url: 'nats://n', replicas: 3, token: {env: PATH}}";
    let stream = "stream\n      value: \"penstock_default_default\"";
    check(jetstream, &["type: pubsub.eventbus.jetstream", "value: \"3\"", "token\n      envRef", stream]);
    let native = "nats: {native: {natsURL: 'nats://u:hunter2@n', subscriptionType: topic}}";
    check(native, &["type: pubsub.eventbus.jetstream", "url\n      envRef", stream]);
    let redis = "redis: {address: 'r:6379', db: 2, password: {env: PATH}}";
    check(redis, &["type: pubsub.eventbus.redis", "address\n      value: \"r:6379\"", "db\n      value: \"2\""]);
}

#[test]
fn a_bus_of_daprs_own_is_not_served_and_has_a_group_of_its_own() {
    let bus = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: broker, namespace: elsewhere}
spec: {type: pubsub.rabbitmq, version: v2, metadata: [{name: consumerID, value: theirs}, {name: password, secretKeyRef: {name: PATH, key: x}}]}
---
apiVersion: events.openfunction.io/v1alpha1
kind: ClusterEventBus
metadata: {name: default}
spec: {component: {name: broker}}
---
";
    let trigger = FLOW.split("---\n").nth(1).unwrap();
    let (folder, yaml) = (tempfile::tempdir().unwrap(), format!("{bus}{trigger}"));
    std::fs::create_dir_all(folder.path().join("PATH")).unwrap();
    std::fs::write(folder.path().join("PATH/x"), "hunter2").unwrap();
    let (layout, report) = written_with(&yaml, &Local::new(Some(folder.path().to_owned())));
    assert_eq!(report, "");
    assert!(layout.kinds.is_empty(), "{:?}", layout.kinds);
    let [component] = layout.components.as_slice() else { panic!("{:?}", layout.components) };
    let expected = "metadata:
  name: \"default\"
spec:
  type: pubsub.rabbitmq
  version: v2
  metadata:
    - name: password
      envRef: PENSTOCK_SECRET_1
    - name: consumerID
      value: \"penstock\"
";
    assert!(component.to_string().ends_with(expected), "{component}");
    assert_eq!(layout.secrets[0].1.expose(), "hunter2");
    assert_eq!(layout.workloads.len(), 1);

    let (_, report) = written(&yaml.replacen("name: broker,", "name: brokers,", 1));
    assert!(
        report.contains("spec.component.name: there is no Component \"broker\" in the files (did you mean"),
        "{report}"
    );
}

#[test]
fn components_that_sinks_refer_to_are_copied_once_with_their_secrets() {
    let component = |name: &str, ty: &str| {
        format!(
            "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\nspec: {{type: {ty}, version: v1, \
             metadata: [{{name: url, value: 'http://u:hunter2@h'}}]}}\n"
        )
    };
    let reference = |name: &str| format!("ref: {{apiVersion: dapr.io/v1alpha1, kind: Component, name: {name}}}");
    let subscribers = format!(
        "[{{name: one, sink: {{{hook}}}, deadLetterSink: {{{broker}}}}}, {{name: two, sink: {{{hook}}}}}]",
        hook = reference("hook"),
        broker = reference("broker"),
    );
    let trigger = FLOW.split("---\n").nth(1).unwrap();
    let trigger = trigger.replace("[{name: ship, sink: {uri: 'http://127.0.0.1:1/'}}]", &subscribers);
    let yaml = format!("{trigger}{}", component("hook", "bindings.http"));
    let (layout, report) = written(&format!("{yaml}{}", component("broker", "pubsub.redis")));
    assert_eq!(report, "");
    let made: Vec<(&str, &str)> =
        layout.components.iter().map(|component| (component.name.as_str(), component.ty.as_str())).collect();
    let ours = ("default.default-state", "state.eventbus.embedded");
    let expected =
        [("default.default", "pubsub.eventbus.embedded"), ours, ("broker", "pubsub.redis"), ("hook", "bindings.http")];
    assert_eq!(made.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    assert!(layout.components.iter().all(|component| !component.to_string().contains("hunter2")));
    let named: Vec<&Json> =
        layout.workloads[0].plan["sinks"].as_array().unwrap().iter().map(|sink| &sink["component"]).collect();
    assert_eq!(named, ["broker", "hook"]);

    let (_, report) = written(&yaml);
    let error = "spec.subscribers[0]: there is no Component \"broker\" in the files";
    assert!(report.contains(error), "{report}");
    let (_, report) = written(&format!("{yaml}{}", component("broker", "state.redis")));
    let error = "the Component \"broker\" cannot be delivered to: \"state.redis\" is neither a binding nor a pub/sub";
    assert!(report.contains(error), "{report}");
}
