//! Sinks that fail in every way: the event is delivered in the end, or is a dead letter that says
//! what happened.

use std::path::Path;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::{Client, Penstock, Receiver, Reply, Run, eventually, free_port, sink, write_flow};

/// One event is posted to a flow whose only subscriber is at `address`, with `delivery` (a YAML flow
/// mapping) and whose dead letters go to `dead`. The folder must outlive the process.
async fn post_one(folder: &Path, address: &str, delivery: &str, dead: &str) -> Penstock {
    let port = free_port();
    let sink = sink(address);
    write_flow(folder, port, &format!("{sink}, delivery: {delivery}, deadLetterSink: {{uri: \"{dead}\"}}"));
    let process = Run::new(folder).start().await;
    let uri = format!("http://127.0.0.1:{port}/");
    let answer = Client::new().event(&uri, "e1", "com.example.one", "{\"total\": 7}").await.unwrap();
    assert_eq!(answer.code, 202, "{answer:?}");
    process
}

/// Waits for the one dead letter and checks what it says; the data is the event's own. A sink that
/// gave no answer counts as 500, as Knative's dispatchers have it.
async fn dead_letter(dead: &Receiver, code: &str, attempts: &str, process: &Penstock) {
    eventually("the dead letter arrives", || async { dead.count() > 0 }).await;
    let letter = &dead.seen()[0];
    let told = (letter.header("ce-knativeerrorcode"), letter.header("ce-penstockattempts"));
    assert_eq!(told, (code, attempts), "{letter:?}\n{}", process.log());
    assert_eq!(letter.header("ce-id"), "e1");
    assert_eq!((letter.header("ce-penstocktrigger"), letter.header("ce-penstocksubscriber")), ("default/one", "sink"));
    assert!(letter.header("ce-knativeerrordest").starts_with("http://127.0.0.1:"), "{letter:?}");
    assert_eq!(letter.body, "{\"total\": 7}");
}

#[tokio::test]
async fn a_sink_that_nobody_listens_on_gets_its_attempts_and_then_a_dead_letter() {
    let (folder, dead) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let sink = format!("http://127.0.0.1:{}/", free_port());
    let delivery = "{retry: 2, backoffDelay: PT0.01S}";
    let process = post_one(folder.path(), &sink, delivery, &dead.uri("/dead")).await;
    dead_letter(&dead, "500", "3", &process).await;
}

#[tokio::test]
async fn a_sink_that_answers_500_gets_its_attempts_and_then_a_dead_letter() {
    let (folder, dead) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let sink = Receiver::answering(|_, _| Reply { body: "out of memory", ..Reply::code(500) }).await;
    let delivery = "{retry: 3, backoffDelay: PT0.01S}";
    let process = post_one(folder.path(), &sink.uri("/"), delivery, &dead.uri("/dead")).await;
    dead_letter(&dead, "500", "4", &process).await;
    assert_eq!(sink.count(), 4);
    // Knative's attribute carries the answer's body as base64.
    assert_eq!(dead.seen()[0].header("ce-knativeerrordata"), "b3V0IG9mIG1lbW9yeQ==");
}

#[tokio::test]
async fn a_sink_that_answers_400_is_not_asked_again() {
    let (folder, dead) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let sink = Receiver::answering(|_, _| Reply::code(400)).await;
    let process = post_one(folder.path(), &sink.uri("/"), "{retry: 5}", &dead.uri("/dead")).await;
    dead_letter(&dead, "400", "1", &process).await;
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn a_sink_that_asks_for_a_pause_gets_the_event_after_it() {
    let (folder, dead) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let sink = Receiver::answering(|n, _| match n {
        0 => Reply { headers: vec![("retry-after", "1".to_owned())], ..Reply::code(429) },
        _ => Reply::code(200),
    })
    .await;
    let process = post_one(folder.path(), &sink.uri("/"), "{retry: 5}", &dead.uri("/dead")).await;
    eventually("the second attempt is made", || async { sink.count() == 2 }).await;
    assert_eq!(sink.seen()[1].header("ce-id"), "e1");
    // The parking attributes are the router's own: a sink never sees them.
    let foreign: Vec<_> =
        sink.seen()[1].headers.keys().filter(|name| name.as_str().contains("penstock")).cloned().collect();
    assert_eq!(foreign, Vec::<http::HeaderName>::new());
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(dead.count(), 0);
}

/// A server that writes `answer` to every connection and closes it; `None` never answers.
async fn raw(answer: Option<&'static [u8]>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            match answer {
                // The peer may be gone already: that is its right.
                Some(bytes) => drop(stream.write_all(bytes).await),
                None => open.push(stream),
            }
        }
    });
    (uri, serving)
}

#[tokio::test]
async fn a_sink_that_speaks_no_http_is_retried_and_then_a_dead_letter() {
    let (folder, dead) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let (sink, _serving) = raw(Some(b"220 mail.example.com ESMTP\r\n")).await;
    let delivery = "{retry: 1, backoffDelay: PT0.01S}";
    let process = post_one(folder.path(), &sink, delivery, &dead.uri("/dead")).await;
    dead_letter(&dead, "500", "2", &process).await;
}

#[tokio::test]
async fn a_sink_that_never_answers_is_given_up_after_its_timeout() {
    let (folder, dead) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let (sink, _serving) = raw(None).await;
    let delivery = "{retry: 1, backoffDelay: PT0.01S, timeout: PT0.1S}";
    let process = post_one(folder.path(), &sink, delivery, &dead.uri("/dead")).await;
    dead_letter(&dead, "500", "2", &process).await;
}

#[tokio::test]
async fn an_event_whose_dead_letter_cannot_be_written_is_kept_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Receiver::answering(|_, _| Reply::code(400)).await;
    let port = free_port();
    let process = post_one(folder.path(), &sink.uri("/"), "{retry: 0}", &format!("http://127.0.0.1:{port}/dead")).await;
    eventually("the sink refuses", || async { sink.count() > 0 }).await;
    // Not even a restart loses it.
    process.kill().await;
    let dead = Receiver::start_on(port).await;
    let process = Run::new(folder.path()).start().await;
    eventually("the dead letter arrives", || async { dead.count() > 0 }).await;
    assert_eq!(dead.seen()[0].header("ce-id"), "e1");
    assert_eq!(process.stop().await, Some(0));
}
