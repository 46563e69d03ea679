use std::io;
use std::sync::{Arc, Mutex};

use super::Sink;
use crate::event::{Data, Draft, Event};
use crate::flow::Sink as _;

/// Where the log of a test goes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn check(event: &Event, expected: &str) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let accepted = tracing::subscriber::with_default(subscriber.finish(), || runtime.block_on(Sink.deliver(event)));
    assert!(accepted.unwrap().code.is_none());
    assert_eq!(String::from_utf8(lines.0.lock().unwrap().clone()).unwrap(), expected);
}

#[test]
fn a_line_has_the_attributes_and_the_beginning_of_the_data() {
    let long = "x".repeat(257);
    let draft = || Draft::new("1", "/s", "t");
    let event = draft().with("subject", "orders").with("time", "2024-05-01T00:00:00Z").data(Data::Text("a\nb"));
    check(
        &event.build().unwrap(),
        " INFO event id=\"1\" source=\"/s\" type=\"t\" subject=\"orders\" time=\"2024-05-01T00:00:00Z\" data=\"ab\"\n",
    );
    check(&draft().build().unwrap(), " INFO event id=\"1\" source=\"/s\" type=\"t\"\n");
    check(
        &draft().data(Data::Text(&long)).build().unwrap(),
        &format!(" INFO event id=\"1\" source=\"/s\" type=\"t\" data=\"{}...\"\n", "x".repeat(256)),
    );
    check(
        &draft().data(Data::Binary(&[0xFF; 3])).build().unwrap(),
        " INFO event id=\"1\" source=\"/s\" type=\"t\" data=\"3 bytes of binary data\"\n",
    );
}
