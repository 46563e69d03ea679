//! One attempt to publish an event.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Accepted, Bus, Deduplicate, Outgoing, Topic};

/// Publishes events to one topic.
pub struct Sink {
    bus: Arc<dyn Bus>,
    topic: Topic,
    address: String,
}

impl Sink {
    pub fn new(bus: Arc<dyn Bus>, topic: Topic) -> Self {
        Self { bus, address: format!("topic:{topic}"), topic }
    }
}

#[async_trait]
impl flow::Sink for Sink {
    fn address(&self) -> &str {
        &self.address
    }

    /// The bus's own faults pass through. Nothing is deduplicated: two subscribers may send the
    /// same event here, each with its own extensions (dead letters do), and the second is no
    /// duplicate of the first.
    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        let outgoing = Outgoing { event: event.clone(), delay: None, deduplicate: Deduplicate::Never };
        match self.bus.publish(&self.topic, vec![outgoing]).await.pop() {
            Some(Ok(_)) => Ok(Accepted::default()),
            Some(Err(fault)) => Err(fault.with_context("address", self.address.as_str())),
            None => Err(Fault::new(FaultKind::Internal, "publish", "the bus gave no answer for the event")),
        }
    }
}
