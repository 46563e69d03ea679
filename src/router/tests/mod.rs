//! Test doubles: a bus in memory and sinks that do as they are told.

mod bus;
mod sink;

pub use bus::MemoryBus;
pub use sink::{Answer, TestSink};

use crate::event::{Data, Draft, Event};
use crate::flow::Topic;

pub fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

pub fn event(id: &str) -> Event {
    Draft::new(id, "/shop", "order")
        .with("subject", "orders/1")
        .with("priority", 3)
        .data(Data::Text("{\"total\":1.0}"))
        .build()
        .unwrap()
}

/// The text of an attribute.
pub fn text(event: &Event, name: &str) -> String {
    event.attribute(name).map(|value| value.text().into_owned()).unwrap_or_default()
}
