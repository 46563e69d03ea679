use std::collections::BTreeSet;
use std::path::Path;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::quickstart;
use crate::support::{Client, Penstock, Receiver, Run, daprd_path, eventually, free_port, sink, write_flow};

/// What asks for daprd, and for the one under test.
pub fn through_daprd() -> [String; 3] {
    ["--dapr".to_owned(), "--daprd".to_owned(), daprd_path().to_str().unwrap().to_owned()]
}

/// A flow from a webhook to a receiver, running through daprd.
pub struct Flow {
    pub folder: TempDir,
    pub process: Penstock,
    pub receiver: Receiver,
    port: u16,
}

impl Flow {
    pub async fn start() -> Self {
        let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
        write_flow(folder.path(), port, &sink(&receiver.uri("/")));
        let process = run(folder.path()).start().await;
        Self { folder, process, receiver, port }
    }

    /// Starts it again; what the process before it printed.
    pub async fn again(self) -> (Self, String) {
        let Self { folder, process, receiver, port } = self;
        process.signal(Signal::TERM);
        let (code, log) = process.log_when_ended().await;
        assert_eq!(code, Some(0), "{log}");
        let process = run(folder.path()).start().await;
        (Self { folder, process, receiver, port }, log)
    }

    /// Posts one event; whether it was confirmed.
    pub async fn post(&self, client: &Client, id: usize) -> bool {
        let uri = format!("http://127.0.0.1:{}/", self.port);
        client.event(&uri, &id.to_string(), "t", "{}").await.is_ok_and(|answer| answer.code == 202)
    }

    /// Posts an event until it is confirmed.
    pub async fn post_surely(&self, client: &Client, id: usize) {
        eventually("an event is taken", || self.post(client, id)).await;
    }

    /// Waits until all of these have arrived, once or more often.
    pub async fn all_arrive(&self, ids: &[usize]) {
        eventually("every event arrives", || async {
            let seen = self.receiver.seen();
            let arrived: BTreeSet<usize> = seen.iter().filter_map(|seen| seen.header("ce-id").parse().ok()).collect();
            ids.iter().all(|id| arrived.contains(id))
        })
        .await;
    }
}

fn run(folder: &Path) -> Run {
    Run::new(folder).with(through_daprd())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quickstart_runs_unchanged_through_daprd() {
    let arguments = through_daprd();
    quickstart::play(&arguments.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_processes_are_told_can_be_read_and_their_metrics_are_one_page() {
    let flow = Flow::start().await;
    flow.post_surely(&Client::new(), 1).await;
    flow.all_arrive(&[1]).await;
    let told = |file: &str| std::fs::read_to_string(flow.folder.path().join("data/dapr").join(file)).unwrap();
    assert!(told("resources/default.clients.post.yaml").contains("type: pubsub.eventsource.http"));
    assert!(told("plans/intake.json").contains("default-clients-post"));
    assert!(told("plans/router.json").contains("\"one\""));
    let page = flow.process.admin("/metrics");
    let page = Client::new().get(&page).await.unwrap().body;
    for part in ["process=\"intake\"", "process=\"router\"", "penstock_process_restarts_total{process=\"daprd\"} 0"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
