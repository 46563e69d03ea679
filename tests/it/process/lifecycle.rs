//! Start, refusal, drain and abort of `penstock run`.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use crate::support::{Client, Receiver, Reply, Run, eventually, free_port, sink, write_flow};

/// A flow whose sink answers once for each permit of the gate.
struct Held {
    folder: TempDir,
    port: u16,
    receiver: Receiver,
    gate: Arc<Semaphore>,
}

async fn held() -> Held {
    let (folder, port, gate) = (tempfile::tempdir().unwrap(), free_port(), Arc::new(Semaphore::new(0)));
    let held = gate.clone();
    let receiver = Receiver::answering(move |_, _| Reply { gate: Some(held.clone()), ..Reply::code(200) }).await;
    write_flow(folder.path(), port, &sink(&receiver.uri("/")));
    Held { folder, port, receiver, gate }
}

async fn post(port: u16, id: &str) {
    let uri = format!("http://127.0.0.1:{port}/");
    let answer = Client::new().event(&uri, id, "com.example.one", "{}").await.unwrap();
    assert_eq!(answer.code, 202, "{answer:?}");
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    write_flow(folder.path(), port, &sink(&receiver.uri("/")));
    let first = Run::new(folder.path()).start().await;
    let second = Run::new(folder.path()).spawn();
    let log = second.log_when_ended().await;
    assert_eq!(log.0, Some(1), "{}", log.1);
    assert!(log.1.contains("another process has this bus open"), "{}", log.1);
    assert!(log.1.contains("data"), "the folder is named: {}", log.1);
    post(port, "e1").await;
    eventually("the first delivers", || async { receiver.count() == 1 }).await;
    assert_eq!(first.stop().await, Some(0));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    write_flow(folder.path(), port, &sink(&receiver.uri("/")));
    let (code, log) = Run::new(folder.path()).spawn().log_when_ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(&format!("port {port} is already in use")), "{log}");
}

#[tokio::test]
async fn a_process_whose_log_nobody_reads_any_more_goes_on_and_stops_when_told() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    write_flow(folder.path(), port, &sink(&receiver.uri("/")));
    let mut process = Run::new(folder.path()).start().await;
    process.stop_reading().await;
    for id in ["e1", "e2"] {
        post(port, id).await;
    }
    eventually("both are delivered", || async { receiver.count() == 2 }).await;
    assert_eq!(process.stop().await, Some(0));
    // They were acknowledged: nothing comes again.
    let process = Run::new(folder.path()).start().await;
    post(port, "e3").await;
    eventually("the new one is delivered", || async { receiver.count() >= 3 }).await;
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(receiver.count(), 3);
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight() {
    let Held { folder, port, receiver, gate } = held().await;
    let process = Run::new(folder.path()).start().await;
    post(port, "e1").await;
    eventually("the sink has the event", || async { receiver.count() == 1 }).await;
    process.signal(Signal::TERM);
    eventually("it says that it stops", || async { process.log().contains("stopping") }).await;
    gate.add_permits(1);
    assert_eq!(process.ended().await, Some(0));

    // It was acknowledged: only the new event is delivered after a restart.
    gate.add_permits(10);
    let process = Run::new(folder.path()).start().await;
    post(port, "e2").await;
    eventually("the second event is delivered", || async { receiver.count() >= 2 }).await;
    assert_eq!(process.stop().await, Some(0));
    let ids: Vec<_> = receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect();
    assert_eq!(ids, ["e1", "e2"]);
}

#[tokio::test]
async fn a_second_signal_aborts_and_the_event_comes_again() {
    let Held { folder, port, receiver, gate } = held().await;
    let process = Run::new(folder.path()).start().await;
    post(port, "e1").await;
    eventually("the sink has the event", || async { receiver.count() == 1 }).await;
    process.signal(Signal::INT);
    eventually("it says that it stops", || async { process.log().contains("stopping") }).await;
    process.signal(Signal::INT);
    assert_eq!(process.ended().await, Some(130));

    gate.add_permits(10);
    let process = Run::new(folder.path()).start().await;
    eventually("it is delivered again", || async { receiver.count() == 2 }).await;
    assert_eq!(receiver.seen()[1].header("ce-id"), "e1");
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn metrics_and_health_are_served_on_the_admin_port() {
    let (folder, receiver, port) = (tempfile::tempdir().unwrap(), Receiver::start().await, free_port());
    write_flow(folder.path(), port, &sink(&receiver.uri("/")));
    let process = Run::new(folder.path()).start().await;
    post(port, "e1").await;
    let client = Client::new();
    eventually("the delivery is counted", || async {
        let metrics = client.get(&process.admin("/metrics")).await.unwrap();
        let counted = |line: &str| {
            line.starts_with("penstock_router_events_total") && line.contains("delivered") && line.ends_with(" 1")
        };
        let lost = "penstock_bus_lost_events_total{bus=\"default/default\"} 0";
        assert!(metrics.body.lines().any(|line| line == lost), "{metrics:?}");
        metrics.body.lines().any(counted)
    })
    .await;
    assert_eq!(client.get(&process.admin("/livez")).await.unwrap().code, 200);
    assert_eq!(client.get(&process.admin("/nothing")).await.unwrap().code, 404);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn the_grace_period_bounds_the_whole_stop() {
    // Far above what a stop with this period takes, below what either side would take by itself.
    const GRACE: &str = "1s";
    const BOUND: Duration = Duration::from_secs(15);
    let Held { folder, port, receiver, gate } = held().await;
    let process = Run::new(folder.path()).with(["--grace", GRACE]).start().await;
    post(port, "e1").await;
    eventually("the sink has the event", || async { receiver.count() == 1 }).await;
    // A sender that never ends its request.
    let mut half = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    half.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n").await.unwrap();
    // It is being served: the server asks for the body.
    half.read_u8().await.unwrap();
    process.signal(Signal::TERM);
    assert_eq!(tokio::time::timeout(BOUND, process.ended()).await, Ok(Some(0)));

    gate.add_permits(10);
    let process = Run::new(folder.path()).start().await;
    eventually("it is delivered again", || async { receiver.count() == 2 }).await;
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn a_flow_without_triggers_keeps_its_events_and_runs_until_it_is_told_to_stop() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    write_flow(folder.path(), port, &sink("log:"));
    let flow = std::fs::read_to_string(folder.path().join("flow.yaml")).unwrap();
    std::fs::write(folder.path().join("flow.yaml"), flow.split_once("---").unwrap().0).unwrap();
    let process = Run::new(folder.path()).start().await;
    post(port, "e1").await;
    let health = Client::new().get(&process.admin("/readyz")).await.unwrap();
    assert_eq!(health.code, 200, "{health:?}");
    let log = process.log();
    let (served, ready) = (log.find("webhooks are served"), log.find("ready"));
    assert!(served.is_some() && served < ready, "what is served is told before that all is ready: {log}");
    assert_eq!(process.stop().await, Some(0));
}
