//! What daprd and the workloads are told about documents.

use super::*;
use crate::cli::check;
use crate::cli::documents;
use crate::cli::report::Report;
use crate::cli::run;
use crate::cli::secrets::Local;

fn written(yaml: &str) -> (Layout, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.yaml");
    std::fs::write(&path, yaml).unwrap();
    let (documents, mut report) = documents::load(&[path], &mut std::io::empty());
    let secrets = Local::new(None);
    check::judge(&documents, &secrets, &mut report);
    let plan = run::plan(&documents, &secrets, &mut report);
    assert!(!report.has_errors(), "{}", text(&report));
    let layout = layout(&documents, &plan, &secrets, &mut report);
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
    let bus = "\n---\napiVersion: events.openfunction.io/v1alpha1\nkind: EventBus\nmetadata: {name: default}\nspec: {jetstream: {url: 'nats://127.0.0.1:1'}}\n---\napiVersion";
    let (_, report) = written(&FLOW.replacen("\n---\napiVersion", bus, 1));
    assert!(report.contains("spec.jetstream: --dapr has no component of this bus yet"), "{report}");
}
