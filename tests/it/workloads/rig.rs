//! One pod of each workload, as processes: components, daprd, intake, router. Around one daprd, or
//! apart, as on a cluster: a side that listens and a side that delivers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

use crate::support::{Client, Daprd, Penstock, Process, Receiver, Run, eventually, free_port};

fn component(name: &str, ty: &str, metadata: &str) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\n\
         spec: {{type: {ty}, version: v1, metadata: [{metadata}]}}\n"
    )
}

fn webhook(port: u16) -> String {
    let metadata = format!("{{name: port, value: \"{port}\"}}, {{name: path, value: /orders}}");
    component("shop-orders", "pubsub.eventsource.http", &metadata)
}

/// The daprds and the workloads of two sides, the one that listens first. Below `folder`, each finds its plan under its
/// name, and its resources and sockets in a folder of that name.
pub fn sides(folder: &Path) -> [(Daprd, Run); 2] {
    let side = |name: &str, kinds: &str| {
        let home = folder.join(name);
        let daprd = Daprd::new(&home.join("resources"), &home.join("s"));
        let plan = home.with_extension("json").into_os_string();
        let endpoint = format!("127.0.0.1:{}", daprd.grpc_port()).into();
        let sockets = home.join("s").into_os_string();
        let words = [name.into(), "--plan".into(), plan, "--dapr".into(), endpoint];
        let served = ["--kind".into(), kinds.into(), "--sockets-dir".into(), sockets];
        (daprd, Run::command::<std::ffi::OsString>(words.into_iter().chain(served), &home))
    };
    [side("intake", "eventbus.jetstream,eventsource.http"), side("router", "eventbus.jetstream")]
}

/// Waits until the workloads of [`sides`] serve their sockets: daprd looks for them once.
pub async fn sockets_are_served(folder: &Path) {
    for socket in
        ["intake/s/eventbus.jetstream.sock", "intake/s/eventsource.http.sock", "router/s/eventbus.jetstream.sock"]
    {
        let socket = folder.join(socket);
        eventually("a socket is served", || async { UnixStream::connect(&socket).await.is_ok() }).await;
    }
}

/// Everything that an event passes, and its place on disk.
pub struct Rig {
    folder: TempDir,
    webhook: u16,
    /// Of the side that listens.
    pub daprd: Daprd,
    /// Of the side that delivers; the same one unless they are apart.
    pub router_daprd: Daprd,
    /// Not to be started when the sides are apart: then the workloads serve their own.
    pub components: Run,
    pub intake: Run,
    pub router: Run,
    pub receiver: Receiver,
}

impl Rig {
    pub async fn new() -> Self {
        Self::around(|daprd, _| (format!("127.0.0.1:{}", daprd.grpc_port()), daprd)).await
    }

    /// With a daprd whose API is on a Unix-domain socket, and on no port.
    pub async fn on_a_socket() -> Self {
        Self::around(|daprd, folder| {
            let argument = format!("--unix-domain-socket={}", folder.display());
            (format!("unix://{}", folder.join("dapr-app-grpc.socket").display()), daprd.with([argument]))
        })
        .await
    }

    /// Around one daprd: `settle` says how it is started, and at which address the workloads find it.
    async fn around(settle: impl FnOnce(Daprd, &Path) -> (String, Daprd)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, sockets) = (free_port(), folder.path().join("s"));
        let daprd = Daprd::new(&folder.path().join("resources"), &sockets);
        let (endpoint, daprd) = settle(daprd, folder.path());
        daprd.resource("shop-orders", &webhook(port));
        daprd.resource("bus", &component("bus", "pubsub.eventbus.embedded", ""));
        let workload = |name: &str| {
            let plan = folder.path().join(name).with_extension("json");
            let dapr = endpoint.clone().into();
            let words = [name.into(), "--plan".into(), plan.into_os_string(), "--dapr".into(), dapr];
            Run::command::<std::ffi::OsString>(words, folder.path())
        };
        let (intake, router) = (workload("intake"), workload("router"));
        let components = Run::component(folder.path(), &sockets);
        let receiver = Receiver::start().await;
        Self { folder, webhook: port, router_daprd: daprd.clone(), daprd, components, intake, router, receiver }
            .planned()
    }

    /// Two sides, each with a process that serves its own sockets and a daprd, and between them only the
    /// bus on the NATS server at `url`.
    pub async fn apart(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let bus = component("bus", "pubsub.eventbus.jetstream", &format!("{{name: url, value: \"{url}\"}}"));
        let [(daprd, intake), (router_daprd, router)] = sides(folder.path());
        for daprd in [&daprd, &router_daprd] {
            daprd.resource("bus", &bus);
        }
        daprd.resource("shop-orders", &webhook(port));
        let components = Run::component(folder.path(), &folder.path().join("s"));
        let receiver = Receiver::start().await;
        Self { folder, webhook: port, daprd, router_daprd, components, intake, router, receiver }.planned()
    }

    fn planned(self) -> Self {
        self.plan_intake(&[]);
        self.plan_router("/");
        self
    }

    /// Waits until the workloads of both sides serve their sockets.
    pub async fn sockets_are_served(&self) {
        sockets_are_served(self.folder.path()).await;
    }

    /// The intake's plan, with these attributes set on every event.
    pub fn plan_intake(&self, attributes: &[(&str, &str)]) {
        let attributes: serde_json::Map<String, Json> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        self.write(
            "intake",
            &json!({
                "bus": {"component": "bus"},
                "feeds": [{
                    "from": {"component": "shop-orders", "heartbeat": "500ms"}, "topic": "orders",
                    "to": "default-shop-orders", "attributes": attributes,
                    "namespace": "default", "eventSource": "shop", "event": "orders",
                }],
            }),
        );
    }

    /// The router's plan: every order to this path of the receiver.
    pub fn plan_router(&self, path: &str) {
        self.write(
            "router",
            &json!({
                "bus": {"component": "bus", "heartbeat": "500ms", "streams": 2},
                "group": "default-ship",
                "triggers": [{"namespace": "default", "name": "ship", "spec": {
                    "eventSources": [{"name": "orders", "eventSourceName": "shop", "eventName": "orders"}],
                    "subscribers": [{"name": "ship", "sink": {"ref": {
                        "apiVersion": "v1", "kind": "Service", "name": "ship", "namespace": "default"}, "uri": path}}],
                }}],
                "sinks": [{"ref": {"apiVersion": "v1", "kind": "Service", "name": "ship", "namespace": "default"},
                           "uri": self.receiver.uri("")}],
            }),
        );
    }

    fn write(&self, name: &str, plan: &Json) {
        self.write_text(name, &plan.to_string());
    }

    /// As a mounted file is changed: by a rename.
    pub fn write_text(&self, name: &str, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.path().join(name).with_extension("json")).unwrap();
    }

    /// Posts one order; whether it was taken.
    pub async fn post(&self, client: &Client, id: usize) -> bool {
        let uri = format!("http://127.0.0.1:{}/orders", self.webhook);
        let body = format!("{{\"order\":{id},\"big\":12345678901234567890}}");
        client.event(&uri, &id.to_string(), "order", &body).await.is_ok_and(|answer| answer.code == 202)
    }

    /// Posts each order until it is taken.
    pub async fn post_all(&self, ids: std::ops::Range<usize>) {
        let client = Client::new();
        for id in ids {
            eventually("an order is taken", || self.post(&client, id)).await;
        }
    }

    /// Posts orders from 0 on, each until it is taken; which were taken before `stop`.
    pub async fn post_until(&self, stop: &Notify) -> Vec<usize> {
        let mut taken = Vec::new();
        for id in 0.. {
            let post = async {
                self.post_all(id..id + 1).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            };
            tokio::select! {
                () = stop.notified() => break,
                () = post => taken.push(id),
            }
        }
        taken
    }

    /// Waits until each of the orders has arrived, once or more often.
    pub async fn all_arrive(&self, ids: std::ops::Range<usize>) {
        self.all_of_arrive(&ids.collect::<Vec<_>>()).await;
    }

    /// As [`Rig::all_arrive`].
    pub async fn all_of_arrive(&self, ids: &[usize]) {
        eventually("every order arrives", || async {
            let seen = self.receiver.seen();
            let arrived: BTreeSet<usize> = seen.iter().filter_map(|seen| seen.header("ce-id").parse().ok()).collect();
            ids.iter().all(|id| arrived.contains(id))
        })
        .await;
    }
}

/// The workloads, ready.
pub async fn workloads(rig: &Rig) -> (Penstock, Penstock) {
    tokio::join!(rig.intake.start(), rig.router.start())
}

/// Starts daprd whenever it ends, as the kubelet does.
pub struct Supervised {
    running: Arc<Mutex<Option<Process>>>,
    starts: Arc<std::sync::atomic::AtomicUsize>,
    supervisor: JoinHandle<()>,
}

impl Supervised {
    pub async fn start(daprd: &Daprd) -> Self {
        let running = Arc::new(Mutex::new(Some(daprd.start().await)));
        let starts = Arc::new(std::sync::atomic::AtomicUsize::new(1));
        let (daprd, slot, count) = (daprd.clone(), running.clone(), starts.clone());
        let supervisor = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut running = slot.lock().await;
                if running.as_ref().is_none_or(Process::has_ended) {
                    *running = Some(daprd.spawn());
                    count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            }
        });
        Self { running, starts, supervisor }
    }

    /// SIGKILL; it is started again.
    pub async fn kill(&self) {
        let running = self.running.lock().await.take();
        if let Some(running) = running {
            running.kill().await;
        }
    }

    /// How often it was started.
    pub fn starts(&self) -> usize {
        self.starts.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}
