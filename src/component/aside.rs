//! What can never be sent to daprd: it is put aside, so that it costs only itself.

use std::sync::Arc;

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus, Deduplicate, Outgoing, Poison, Position, Receipt, Topic, letter};
use crate::frame::MAX_MESSAGE;
use crate::task::Clock;

/// What is appended to a topic's name for its dead letters, as everywhere.
const SUFFIX: &str = "-dlq";

/// Letters carry headers of their own and may become JSON with base64, which takes a third more.
const MAX_LETTER: usize = MAX_MESSAGE / 2;

/// Where one subscription puts aside what it cannot send: the dead letter topic of its own topic.
/// A source has none, so its origin is told instead.
pub(super) struct Aside {
    pub bus: Option<Arc<dyn Bus>>,
    pub component: String,
    pub topic: Topic,
    pub clock: Clock,
}

impl Aside {
    /// Puts aside bytes that are no event.
    pub(super) async fn poison(&self, poison: &Poison, position: Position, receipt: Receipt) {
        let origin = format!("/dapr/{}", self.component);
        let letter = letter::poison(poison, &origin, &self.topic, position, self.clock.now())
            .and_then(|letter| letter::fit(&letter, MAX_LETTER));
        self.put(letter, poison.fault.clone(), receipt).await;
    }

    /// Puts aside an event whose message would have `bytes` bytes.
    pub(super) async fn oversized(&self, event: &Event, bytes: usize, receipt: Receipt) {
        let message = format!("its message has {bytes} bytes, and daprd takes at most {MAX_MESSAGE}");
        let fault = Fault::new(FaultKind::TooLarge, "send an event to daprd", message)
            .with_context("topic", self.topic.as_str())
            .with_context("id", event.id());
        let letter = letter::unfit(event, &fault, &self.topic, MAX_LETTER);
        self.put(letter, fault, receipt).await;
    }

    async fn put(&self, letter: Result<Event, Fault>, why: Fault, receipt: Receipt) {
        let Some(bus) = &self.bus else {
            tracing::warn!(component = self.component, fault = why.chain(), "an event is handed back to its origin");
            receipt.nack(why);
            return;
        };
        let name = format!("{}{SUFFIX}", self.topic);
        let topic =
            Topic::new(&name).map_err(|error| Fault::new(FaultKind::Rejected, "put an event aside", error.to_string()));
        let kept = match letter.and_then(|letter| Ok((topic?, letter))) {
            Ok((topic, event)) => {
                let outgoing = Outgoing { event, delay: None, deduplicate: Deduplicate::Event };
                bus.publish(&topic, vec![outgoing]).await.pop().unwrap_or_else(|| {
                    Err(Fault::new(FaultKind::Internal, "put an event aside", "the bus did not answer"))
                })
            }
            Err(fault) => Err(fault),
        };
        match kept {
            Ok(_) => {
                tracing::warn!(component = self.component, dead = name, fault = why.chain(), "an event was put aside");
                receipt.ack();
            }
            Err(fault) => {
                tracing::error!(component = self.component, dead = name, fault = fault.chain(), "cannot put aside");
                receipt.nack(fault);
            }
        }
    }
}
