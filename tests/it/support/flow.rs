//! The flows that most whole-process tests run.

use std::path::Path;

/// Writes a flow from the webhook `/` on `port` to one subscriber, named `sink`, that has these settings (the
/// inside of a YAML flow mapping).
pub fn write_flow(folder: &Path, port: u16, subscriber: &str) {
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: clients}}
spec: {{http: {{post: {{path: /, port: {port}}}}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: one}}
spec:
  eventSources: [{{name: post, eventSourceName: clients, eventName: post}}]
  subscribers: [{{name: sink, {subscriber}}}]
"
    );
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

/// A subscriber that is reached at `uri` (the inside of a YAML flow mapping).
pub fn sink(uri: &str) -> String {
    format!("sink: {{uri: \"{uri}\"}}")
}

/// Writes a flow from the webhooks `/a` and `/b` on `port` over a bus with these settings (the inside of a YAML flow
/// mapping) to these subscribers (likewise), whose Trigger has the inputs `a` and `b`.
pub fn write_pair(folder: &Path, bus: &str, port: u16, subscribers: &[String]) {
    let subscribers: Vec<String> = subscribers.iter().map(|settings| format!("    - {{{settings}}}\n")).collect();
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {{name: default}}
spec: {{{bus}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: clients}}
spec:
  http:
    a: {{path: /a, port: {port}}}
    b: {{path: /b, port: {port}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: join}}
spec:
  eventSources:
    - {{name: a, eventSourceName: clients, eventName: a}}
    - {{name: b, eventSourceName: clients, eventName: b}}
  subscribers:
{}",
        subscribers.concat()
    );
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}
