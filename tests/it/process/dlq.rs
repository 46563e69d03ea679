//! `penstock dlq` on a running process, on its data directory after it ended, and on brokers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Client, NatsServer, Penstock, Receiver, RedisServer, Reply, Run, eventually, free_port, output};

/// A sink that refuses every event under `/bad` for good until it is mended.
pub struct Sink {
    pub receiver: Receiver,
    mended: Arc<AtomicBool>,
}

impl Sink {
    pub async fn start() -> Self {
        let mended = Arc::new(AtomicBool::new(false));
        let answer = mended.clone();
        let receiver = Receiver::answering(move |_, seen| {
            let is_good = seen.path != "/bad" || answer.load(Ordering::SeqCst);
            Reply::code(if is_good { 200 } else { 400 })
        });
        Self { receiver: receiver.await, mended }
    }

    pub fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }

    /// The ids that came to this path.
    pub fn ids(&self, path: &str) -> Vec<String> {
        let seen = self.receiver.seen();
        seen.iter().filter(|seen| seen.path == path).map(|seen| seen.header("ce-id").to_owned()).collect()
    }
}

/// A webhook `/`, a Trigger with the subscribers `good` and `bad`, and a bus with these settings.
pub fn write(folder: &Path, port: u16, sink: &Sink, bus: &str) {
    let (good, bad) = (sink.receiver.uri("/good"), sink.receiver.uri("/bad"));
    let yaml = format!(
        "apiVersion: events.openfunction.io/v1alpha1
kind: EventBus
metadata: {{name: default}}
spec: {{{bus}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: EventSource
metadata: {{name: clients}}
spec: {{http: {{post: {{path: /, port: {port}}}}}}}
---
apiVersion: events.openfunction.io/v1alpha1
kind: Trigger
metadata: {{name: one}}
spec:
  eventSources: [{{name: post, eventSourceName: clients, eventName: post}}]
  subscribers:
    - {{name: good, sink: {{uri: \"{good}\"}}}}
    - {{name: bad, sink: {{uri: \"{bad}\"}}}}
"
    );
    std::fs::write(folder.join("flow.yaml"), yaml).unwrap();
}

/// Posts an event for each id, and waits until each is a dead letter.
pub async fn post(port: u16, process: &Penstock, ids: &[&str]) {
    for id in ids {
        let uri = format!("http://127.0.0.1:{port}/");
        let answer = Client::new().event(&uri, id, &format!("type.{id}"), "{\"secret\": 7}").await.unwrap();
        assert_eq!(answer.code, 202, "{answer:?}");
    }
    dead(process, ids.len()).await;
}

/// Waits until the process has given up as many events as this.
async fn dead(process: &Penstock, count: usize) {
    eventually("the events are dead letters", || async {
        let metrics = Client::new().get(&process.admin("/metrics")).await.unwrap().body;
        let line = metrics.lines().find(|line| line.contains("outcome=\"dead\"") && line.contains("\"bad\""));
        line.is_some_and(|line| line.ends_with(&format!(" {count}")))
    })
    .await;
}

/// The exit code, and what was told: the result, or why there is none.
pub async fn dlq(arguments: &[&str]) -> (Option<i32>, String) {
    let out = output(["dlq"].iter().chain(arguments)).await;
    let told = if out.stdout.is_empty() { out.stderr } else { out.stdout };
    (out.status.code(), String::from_utf8_lossy(&told).into_owned())
}

#[tokio::test]
async fn dead_letters_of_a_running_process_are_told_sent_again_to_their_subscriber_and_dropped() {
    let (folder, sink, port) = (tempfile::tempdir().unwrap(), Sink::start().await, free_port());
    write(folder.path(), port, &sink, "embedded: {}");
    let run = Run::new(folder.path());
    let process = run.start().await;
    post(port, &process, &["e1", "e2", "e3"]).await;
    let admin = process.admin("").replace("http://", "");
    let (code, told) = dlq(&["list", "--admin", &admin]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("  e1  type.e1  default/one/bad  rejected, 1 attempts  default-clients-post-dlq/"), "{told}");
    assert!(told.ends_with("3 dead letters\n"), "{told}");
    assert!(!told.contains("secret"), "a list has no data: {told}");
    let (_, told) = dlq(&["show", "--admin", &admin, "e2"]).await;
    assert!(told.contains("\"secret\": 7") && told.contains("\"penstocktrigger\": \"default/one\""), "{told}");

    // Only looked at: nothing changes.
    let (code, told) = dlq(&["replay", "--admin", &admin, "--dry-run"]).await;
    assert!(code == Some(0) && told.ends_with("3 dead letters: 3 would be sent again, 0 not\n"), "{told}");
    let (code, told) = dlq(&["replay", "--admin", &admin]).await;
    assert!(code == Some(2) && told.contains("say which dead letters are meant, or --all"), "{told}");
    sink.mend();
    let (code, told) = dlq(&["replay", "--admin", &admin, "--type", "type.e1", "--rate", "100"]).await;
    assert!(code == Some(0) && told.ends_with("1 dead letter: 1 sent again, 0 not\n"), "{told}");
    eventually("it is delivered", || async { sink.ids("/bad").len() == 4 }).await;
    let seen = sink.receiver.seen();
    let again = seen.iter().rfind(|seen| seen.path == "/bad").unwrap();
    assert_eq!((again.header("ce-id"), again.header("ce-penstockreplays")), ("e1", "1"));
    assert_eq!((again.header("ce-penstockreason"), again.header("ce-knativeerrorcode")), ("", ""));
    assert_eq!(sink.ids("/good").len(), 3, "the other subscriber had it already");
    let (code, told) = dlq(&["drop", "--admin", &admin, "e2"]).await;
    assert!(code == Some(0) && told.ends_with("1 dead letter: 1 dropped\n"), "{told}");

    // Another process cannot have the data directory, and is told whom to ask.
    let (flow, data) = (folder.path().join("flow.yaml"), folder.path().join("data"));
    let here = ["-f", flow.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let (code, told) = dlq(&[&["list"], &here[..]].concat()).await;
    assert!(code == Some(1) && told.contains("--admin ADDRESS:PORT"), "{told}");
    assert_eq!(process.stop().await, Some(0));
    let (code, told) = dlq(&[&["list", "--json"], &here[..]].concat()).await;
    assert_eq!(code, Some(0), "{told}");
    let found: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!((&found["id"], &found["reason"]), (&"e3".into(), &"rejected".into()), "{told}");
    // Sent again while nothing runs: delivered after the start.
    let (code, told) = dlq(&[&["replay", "e3"], &here[..]].concat()).await;
    assert_eq!(code, Some(0), "{told}");
    let process = run.start().await;
    eventually("it is delivered", || async { sink.ids("/bad").last().is_some_and(|id| id == "e3") }).await;
    let (_, told) = dlq(&["list", "--admin", &admin]).await;
    assert_eq!(told, "no dead letter\n");
    let plain = Client::new().get(&process.admin("/dlq")).await.unwrap();
    assert_eq!(plain.code, 405, "a page of a browser must not do this by a link");
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn an_event_that_dies_again_and_again_is_not_sent_round_for_ever() {
    let (folder, sink, port) = (tempfile::tempdir().unwrap(), Sink::start().await, free_port());
    write(folder.path(), port, &sink, "embedded: {}");
    let process = Run::new(folder.path()).start().await;
    post(port, &process, &["e1"]).await;
    let admin = process.admin("").replace("http://", "");
    for round in 2..5 {
        let (code, told) = dlq(&["replay", "--all", "--admin", &admin]).await;
        assert_eq!(code, Some(0), "{told}");
        dead(&process, round).await;
    }
    let (code, told) = dlq(&["replay", "--all", "--admin", &admin]).await;
    assert!(code == Some(1) && told.contains("stays: it was sent again 3 times already"), "{told}");
    assert!(told.contains("sent again 3 times  default-clients-post-dlq/"), "{told}");
    sink.mend();
    let (code, told) = dlq(&["replay", "--all", "--force", "--to", "topic", "--admin", &admin]).await;
    assert_eq!(code, Some(0), "{told}");
    eventually("all who read the topic get it", || async {
        sink.ids("/good").len() == 2 && sink.ids("/bad").len() == 5
    })
    .await;
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn dead_letters_on_brokers_are_worked_on_beside_the_process_that_runs() {
    let (nats, redis) = (NatsServer::start(""), RedisServer::start(&[]));
    let jetstream = format!("jetstream: {{url: \"{}\"}}", nats.url());
    for bus in [jetstream, format!("redis: {{address: \"{}\"}}", redis.address())] {
        let (folder, sink, port) = (tempfile::tempdir().unwrap(), Sink::start().await, free_port());
        write(folder.path(), port, &sink, &bus);
        let process = Run::new(folder.path()).start().await;
        post(port, &process, &["e1", "e2"]).await;
        let flow = folder.path().join("flow.yaml");
        let flow = flow.to_str().unwrap();
        // A letter that was handed back may be on its way to a reader that just left: the broker hands it out again later.
        let tells =
            async |arguments: &[&str], end: &str| dlq(&[arguments, &["-f", flow]].concat()).await.1.ends_with(end);
        for _ in 0..2 {
            eventually("both are told", || tells(&["list"], "2 dead letters\n")).await;
        }
        sink.mend();
        eventually("one is sent again", || tells(&["replay", "e2"], "1 dead letter: 1 sent again, 0 not\n")).await;
        eventually("it is delivered", || async { sink.ids("/bad").len() == 3 }).await;
        eventually("the other is dropped", || tells(&["drop", "--all"], "1 dead letter: 1 dropped\n")).await;
        let (_, told) = dlq(&["list", "-f", flow]).await;
        assert_eq!(told, "no dead letter\n", "{bus}");
        assert_eq!(sink.ids("/good").len(), 2);
        assert_eq!(process.stop().await, Some(0));
    }
}
