//! The flow that most whole-process tests run.

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
