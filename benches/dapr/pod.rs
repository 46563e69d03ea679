//! What the contenders have in common: a NATS server, components, and one daprd.

use std::path::Path;
use std::process::{Child, Command};

use tempfile::TempDir;
use tokio::net::UnixStream;

use super::idle;
use super::support::{Daprd, NatsServer, Penstock, Process, Run, eventually};

/// A Component.
pub fn component(name: &str, ty: &str, metadata: &str) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\n\
         spec: {{type: {ty}, version: v1, metadata: [{metadata}]}}\n"
    )
}

/// Waits until somebody listens on the socket.
pub async fn listening(socket: &Path) {
    eventually("a socket is served", || async { UnixStream::connect(socket).await.is_ok() }).await;
}

/// daprd, and the components behind it: `bus` is Penstock's on `JetStream`, `builtin` daprd's own on the
/// same server, `idle` the one that does nothing.
pub struct Pod {
    pub daprd: Daprd,
    pub penstock: Penstock,
    pub process: Process,
    idle: Child,
    _nats: NatsServer,
    _folder: TempDir,
}

impl Pod {
    pub async fn start(with_builtin: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = NatsServer::start("");
        let sockets = folder.path().join("s");
        let daprd = Daprd::new(&folder.path().join("resources"), &sockets);
        let url = nats.url();
        daprd.resource(
            "bus",
            &component("bus", "pubsub.eventbus.jetstream", &format!("{{name: url, value: \"{url}\"}}")),
        );
        daprd.resource("idle", &component("idle", "pubsub.idle", ""));
        if with_builtin {
            stream(&url).await;
            let metadata = format!(
                "{{name: natsURL, value: \"{url}\"}}, {{name: streamName, value: builtin}}, \
                 {{name: deliverPolicy, value: all}}, {{name: concurrency, value: parallel}}"
            );
            daprd.resource("builtin", &component("builtin", "pubsub.jetstream", &metadata));
        }
        let socket = sockets.join("idle.sock");
        let idle = Command::new(std::env::current_exe().unwrap()).arg(idle::ROLE).arg(&socket).spawn().unwrap();
        let penstock = Run::component(folder.path(), &sockets).with(["--kind", "eventbus.jetstream", "--log", "warn"]);
        let penstock = penstock.start().await;
        listening(&socket).await;
        let process = daprd.start().await;
        Self { daprd, penstock, process, idle, _nats: nats, _folder: folder }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.idle.kill().unwrap();
        self.idle.wait().unwrap();
    }
}

/// The stream that daprd's own component wants to find: on disk, as Penstock's.
async fn stream(url: &str) {
    let context = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
    let config = async_nats::jetstream::stream::Config {
        name: "builtin".to_owned(),
        subjects: vec!["builtin.>".to_owned()],
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
}
