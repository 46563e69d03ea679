//! What feeds a flow: webhooks, `CloudEvents` over HTTP, schedules, brokers, and the topics behind them.

mod cron;
mod events;
#[cfg(feature = "kafka")]
mod kafka;
mod kubernetes;
mod mqtt;
mod rabbitmq;
mod refusals;
mod senders;
mod topics;

use std::path::Path;

use tempfile::TempDir;

use crate::support::{Answer, Client, Penstock, Receiver, Run, eventually, free_port, sink};

/// A running flow: one `EventSource` named `clients`, and a Trigger that hands its events to a receiver.
struct Flow {
    folder: TempDir,
    port: u16,
    receiver: Receiver,
    process: Penstock,
    client: Client,
}

impl Flow {
    /// Serves webhooks on one port: names and settings, as the inside of a YAML flow mapping.
    async fn start(hooks: &[(&str, &str)]) -> Self {
        Self::start_with(hooks, |run, _| run).await
    }

    /// As [`Flow::start`]; `with` adds to how the process is run in its folder.
    async fn start_with(hooks: &[(&str, &str)], with: impl FnOnce(Run, &Path) -> Run) -> Self {
        let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
        let mut yaml = source("http");
        for (name, settings) in hooks {
            yaml.push_str(&hook(name, port, settings));
        }
        let names: Vec<&str> = hooks.iter().map(|(name, _)| *name).collect();
        yaml += &trigger("all", &names, &[sink(&receiver.uri("/"))]);
        std::fs::write(folder.path().join("flow.yaml"), yaml).unwrap();
        let process = with(Run::new(folder.path()), folder.path()).start().await;
        Self { folder, port, receiver, process, client: Client::new() }
    }

    fn uri(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Posts a body with headers.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        self.client.send(http::Method::POST, &self.uri(path), headers, body).await.unwrap()
    }

    /// Stops the process once as many events as in `ids` have arrived, and checks that these were
    /// all: a stop drains what is in flight, so what was not delivered by then was never taken.
    async fn delivers_only(self, ids: &[&str]) -> Receiver {
        eventually("the events arrive", || async { self.receiver.count() >= ids.len() }).await;
        let log = self.process.log();
        assert_eq!(self.process.stop().await, Some(0));
        let mut delivered: Vec<_> = self.receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect();
        delivered.sort();
        assert_eq!(delivered, ids, "{log}");
        self.receiver
    }
}

/// An `EventSource` named `clients` whose events, of one kind, are to follow with four spaces before them.
pub(super) fn source(kind: &str) -> String {
    format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: clients}}
spec:
  {kind}:
"
    )
}

/// One webhook of [`source`].
pub(super) fn hook(name: &str, port: u16, settings: &str) -> String {
    format!("    {name}: {{port: {port}, {settings}}}\n")
}

/// A Trigger on events of `clients`, any of which fires each subscriber (the inside of a YAML flow
/// mapping).
pub(super) fn trigger(name: &str, events: &[&str], subscribers: &[String]) -> String {
    let input = |event: &&str| format!("    - {{name: {event}, eventSourceName: clients, eventName: {event}}}\n");
    let inputs: String = events.iter().map(input).collect();
    let condition = events.join(" || ");
    let subscriber = |settings: &String| format!("    - {{condition: \"{condition}\", {settings}}}\n");
    let subscribers: String = subscribers.iter().map(subscriber).collect();
    format!(
        "---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: {name}}}
spec:
  eventSources:
{inputs}  subscribers:
{subscribers}"
    )
}
