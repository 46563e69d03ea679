//! What holds deliveries back: the rate limit and the circuit breaker, as a process with real receivers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Client, Penstock, Receiver, Reply, Run, eventually, free_port, sink, write_flow};

async fn post(port: u16, ids: std::ops::Range<u32>) {
    let client = Client::new();
    for id in ids {
        let answer = client.event(&format!("http://127.0.0.1:{port}/"), &format!("e{id}"), "order", "{}").await;
        assert_eq!(answer.unwrap().code, 202);
    }
}

/// The value of a metric of the one subscriber; `rest` is the end of its name and labels.
async fn metric(process: &Penstock, name: &str, rest: &str) -> Option<u64> {
    let metrics = Client::new().get(&process.admin("/metrics")).await.unwrap().body;
    let start = format!("{name}{{trigger=\"default/one\",subscriber=\"sink\"{rest}}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

async fn counted(process: &Penstock, outcome: &str) -> u64 {
    metric(process, "penstock_router_events_total", &format!(",outcome=\"{outcome}\"")).await.unwrap()
}

fn ids(receiver: &Receiver) -> Vec<String> {
    let mut ids: Vec<String> = receiver.seen().iter().map(|seen| seen.header("ce-id").to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_rate_limit_holds_back_its_own_subscriber_alone_and_loses_nothing() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let (slow, fast) = (Receiver::start().await, Receiver::start().await);
    let other = format!("{}}}, {{name: other, {}", sink(&slow.uri("/")), sink(&fast.uri("/")));
    let limited = |limit: &str| other.replacen('}', &format!("}}, rateLimit: {limit}"), 1);
    write_flow(folder.path(), port, &limited("{unit: Hour, requestsPerUnit: 1}"));
    let process = Run::new(folder.path()).start().await;
    post(port, 0..5).await;
    eventually("the others get theirs", || async { fast.count() == 5 }).await;
    eventually("the rest is parked", || async { counted(&process, "parked").await == 4 }).await;
    assert_eq!((slow.count(), counted(&process, "held").await), (1, 4));
    process.kill().await;

    // What was parked for hours stays; what comes now goes at the new pace.
    write_flow(folder.path(), port, &limited("{requestsPerUnit: 50}"));
    let process = Run::new(folder.path()).start().await;
    post(port, 5..105).await;
    let mut late: Vec<String> = (5..105).map(|id| format!("e{id}")).collect();
    late.sort();
    // What was delivered right before the kill may come again.
    let got = || ids(&slow).into_iter().filter(|id| late.contains(id)).collect::<Vec<_>>();
    eventually("the limited one gets all", || async { got().len() >= late.len() }).await;
    assert_eq!(got(), late, "each once");
    assert!(counted(&process, "held").await > 0);
    assert_eq!(counted(&process, "dead").await, 0);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn a_circuit_breaker_opens_probes_and_closes_and_no_event_is_given_up_for_it() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let works = Arc::new(AtomicBool::new(false));
    let answer = works.clone();
    let receiver =
        Receiver::answering(move |_, _| Reply::code(if answer.load(Ordering::SeqCst) { 200 } else { 503 })).await;
    // Four attempts would be used up within the outage if they counted.
    let rules = "retryStrategy: {steps: 4, duration: 10ms, cap: 50ms}, \
                 circuitBreaker: {consecutiveFailures: 3, openFor: 20ms}";
    write_flow(folder.path(), port, &format!("{}, {rules}", sink(&receiver.uri("/"))));
    let process = Run::new(folder.path()).start().await;
    post(port, 0..1).await;
    eventually("it opens", || async { metric(&process, "penstock_router_open_breakers", "").await == Some(1) }).await;
    post(port, 1..20).await;
    eventually("many probes fail", || async { receiver.count() > 10 }).await;
    works.store(true, Ordering::SeqCst);
    eventually("it closes", || async { metric(&process, "penstock_router_open_breakers", "").await == Some(0) }).await;
    eventually("every event arrives", || async { counted(&process, "delivered").await == 20 }).await;
    assert_eq!(counted(&process, "dead").await, 0);
    let log = process.log();
    for line in ["circuit breaker opened", "circuit breaker stays open", "circuit breaker closed"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert_eq!(process.stop().await, Some(0));
}

/// A function that answers an event of a type with one of the next type of `types`, and its own id.
async fn function(types: &'static [(&'static str, &'static str)]) -> Receiver {
    Receiver::answering(move |_, seen| {
        let found = types.iter().find(|(from, _)| *from == seen.header("ce-type"));
        let Some((_, to)) = found else { return Reply::code(204) };
        let headers = [("ce-specversion", "1.0"), ("ce-id", "answer"), ("ce-source", "/function"), ("ce-type", *to)];
        let headers = headers.map(|(name, value)| (name, value.to_owned())).to_vec();
        Reply { headers, body: "{\"answered\": true}", ..Reply::code(200) }
    })
    .await
}

#[tokio::test]
async fn what_a_sink_answers_with_goes_back_to_the_bus_and_never_round() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let function = function(&[("order", "priced"), ("priced", "order")]).await;
    let (dead, plain) = (Receiver::start().await, Receiver::start().await);
    let subscriber = format!(
        "{}, reply: true, deadLetterSink: {{uri: \"{}\"}}}}, {{name: plain, {}",
        sink(&function.uri("/")),
        dead.uri("/dead"),
        sink(&plain.uri("/"))
    );
    write_flow(folder.path(), port, &subscriber);
    let process = Run::new(folder.path()).start().await;
    post(port, 0..1).await;
    eventually("the circle is broken", || async { dead.count() == 1 }).await;
    eventually("others see the answer", || async { plain.count() == 2 }).await;
    let types = |receiver: &Receiver| receiver.seen().iter().map(|seen| seen.header("ce-type").to_owned()).collect();
    let (asked, seen): (Vec<String>, Vec<String>) = (types(&function), types(&plain));
    assert_eq!((asked, seen.len()), (vec!["order".to_owned(), "priced".to_owned()], 2));
    assert_eq!(function.seen()[0].header("prefer"), "reply");
    let answer = &function.seen()[1];
    assert_eq!((answer.header("ce-id"), answer.header("ce-penstockhops")), ("answer", "1"));
    assert_eq!(answer.body, "{\"answered\": true}");
    let letter = &dead.seen()[0];
    assert_eq!((letter.header("ce-penstockreason"), letter.header("ce-type")), ("loop", "order"));
    assert_eq!(letter.header("prefer"), "");
    assert_eq!((counted(&process, "replied").await, counted(&process, "delivered").await), (1, 2));
    assert_eq!(process.stop().await, Some(0));
}
