//! Components behind the real daprd: what a plain Dapr app sees, and what happens when a process
//! goes away.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod brokered;
mod brokers;
mod faults;
mod publish;
mod published;
mod python;
mod sources;
mod state;
mod stream;

use std::path::Path;

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::support::{Daprd, Penstock, Process, Receiver, Reply, Run, Seen, eventually};

/// Where daprd asks an app that it has just found; an app without settings of its own answers 404.
const SETUP: &str = "/dapr/";

/// A bus as people write it; retention and the rest are the defaults.
const BUS: &str = "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: bus}
spec: {type: pubsub.eventbus.embedded, version: v1, metadata: []}
";

/// An app and its daprd, beside a process that serves components.
struct Pod {
    folder: TempDir,
    app: Receiver,
    daprd: Daprd,
}

impl Pod {
    /// An app that answers requests to its own paths with what `answer` says for the n-th (from 0).
    async fn new(answer: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let counter = std::sync::atomic::AtomicUsize::new(0);
        let app = Receiver::answering(move |_, seen| {
            if seen.path.starts_with(SETUP) || seen.path == "/" {
                return Reply::code(404);
            }
            answer(counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst), seen)
        })
        .await;
        let daprd = Daprd::new(&folder.path().join("resources"), &folder.path().join("sockets"));
        let daprd = daprd.app_port(app.port());
        daprd.resource("bus", BUS);
        Self { folder, app, daprd }
    }

    /// Routes a topic to the path of the same name.
    fn subscribe(&self, pubsub: &str, topic: &str) {
        let yaml = format!(
            "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: {{name: {pubsub}-{topic}}}\n\
             spec: {{pubsubname: {pubsub}, topic: {topic}, routes: {{default: /{topic}}}}}\n"
        );
        self.daprd.resource(&format!("{pubsub}-{topic}"), &yaml);
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn component(&self) -> Run {
        Run::component(self.folder.path(), &self.path("sockets"))
    }

    /// Starts the components, then daprd.
    async fn start(&self) -> (Penstock, Process) {
        let component = self.component().start().await;
        (component, self.daprd.start().await)
    }

    /// What the app got on a path so far, as the events that daprd made of it.
    fn events(&self, path: &str) -> Vec<Json> {
        let seen = self.app.seen();
        let seen = seen.iter().filter(|seen| seen.path == path);
        seen.map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
    }

    /// Waits until the app got `count` requests on a path.
    async fn received(&self, path: &str, count: usize) -> Vec<Json> {
        eventually(&format!("{count} events on {path}"), || async { self.events(path).len() >= count }).await;
        self.events(path)
    }
}

/// The socket of a kind, once it is there.
fn socket(folder: &Path, kind: &str) -> bool {
    folder.join(format!("{kind}.sock")).exists()
}
