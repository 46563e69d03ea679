//! The pump: takes events from a source's outlet, publishes them, and only then acknowledges.
//!
//! - Batches form by themselves: whatever waits is published together, and nothing waits for more.
//!   Several batches are on their way at once, so that one slow commit does not hold up the next.
//! - Bytes that are no event, and events larger than the bus takes, go to the dead letter topic and
//!   cost only themselves. Sources that answer a sender refuse the latter themselves: an outlet tells
//!   the limit.
//! - Everything that is not kept is handed back to its origin with the fault.
//!
//! May import `event`, `fault`, `task`, `telemetry` and `flow`; never a kind.

mod overrides;

pub use overrides::Overrides;

use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus, Deduplicate, Outgoing, Poison, Position, Published, Receipt, Received, Topic, letter};
use crate::task::{Clock, Shutdown};
use crate::telemetry;

/// The most events in one batch: enough to make the cost of a commit small, few enough that the
/// first of them does not wait long for the last.
const MAX_BATCH: usize = 256;

/// Batches on their way at once. A group commit takes a second batch while it writes the first;
/// more than a few only queue up inside the bus.
const MAX_FLYING: usize = 4;

/// What an [`Intake`] is made of.
pub struct Settings {
    pub bus: Arc<dyn Bus>,
    pub topic: Topic,
    /// Where poison goes, on the same bus.
    pub dead_letters: Topic,
    /// The `source` of letters that were made of poison.
    pub origin: String,
    pub overrides: Overrides,
    pub clock: Clock,
    pub metrics: telemetry::Intake,
}

/// The largest event that is kept whole on `bus`, in bytes of its record: it leaves room for what
/// parking and dead letters add later.
pub fn max_event_bytes(bus: &dyn Bus) -> usize {
    let limit = bus.capability().max_event_bytes;
    limit.saturating_sub(letter::HEADROOM).max(limit / 2)
}

/// Publishes what one event of an `EventSource` hands out.
pub struct Intake {
    events: mpsc::Receiver<Received>,
    line: Line,
}

impl Intake {
    pub fn new(events: mpsc::Receiver<Received>, settings: Settings) -> Self {
        let max_bytes = max_event_bytes(&*settings.bus);
        Self { events, line: Line { settings, max_bytes } }
    }

    /// Publishes until every outlet is gone, or until `shutdown`: then takes what was already
    /// handed out, and returns.
    ///
    /// # Errors
    /// None at present: outages of the bus are answered by handing events back.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Fault> {
        let Self { mut events, line } = self;
        let mut flying = FuturesUnordered::new();
        let mut stop = std::pin::pin!(shutdown.requested());
        let (mut open, mut stopping) = (true, false);
        while open || !flying.is_empty() {
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                Some(()) = flying.next(), if !flying.is_empty() => {}
                () = &mut stop, if !stopping => {
                    stopping = true;
                    events.close();
                }
                // Cancel-safe: nothing was taken when another branch is chosen.
                taken = events.recv_many(&mut batch, MAX_BATCH), if open && flying.len() < MAX_FLYING => {
                    if taken == 0 { open = false } else { flying.push(line.publish(batch)) }
                }
            }
        }
        Ok(())
    }
}

/// Where the events of one outlet go.
struct Line {
    settings: Settings,
    /// What is larger could not be parked or made a dead letter later.
    max_bytes: usize,
}

/// What is on its way to one topic, with the receipts to settle.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    receipts: Vec<Receipt>,
}

impl Batch {
    fn push(&mut self, event: Event, receipt: Receipt) {
        self.events.push(event);
        self.receipts.push(receipt);
    }
}

impl Line {
    async fn publish(&self, received: Vec<Received>) {
        let mut batch = Batch::default();
        let mut letters = Batch::default();
        for Received { event, position, receipt, .. } in received {
            match event.map_err(|poison| self.letter(&poison, position)) {
                Ok(event) if event.record().len() > self.max_bytes => self.oversized(&event, receipt, &mut letters),
                Ok(event) => batch.push(self.settings.overrides.apply(event), receipt),
                Err(Ok(letter)) => letters.push(letter, receipt),
                Err(Err(fault)) => receipt.nack(fault),
            }
        }
        self.publish_events(batch, &mut letters).await;
        self.publish_letters(letters).await;
    }

    async fn publish_events(&self, batch: Batch, letters: &mut Batch) {
        if batch.events.is_empty() {
            return;
        }
        let metrics = &self.settings.metrics;
        let results = self.send(&self.settings.topic, &batch.events, Deduplicate::Event).await;
        for ((event, receipt), result) in batch.events.iter().zip(batch.receipts).zip(results) {
            match result {
                Ok(Published::Duplicate) => {
                    metrics.duplicate.inc();
                    receipt.ack();
                }
                Ok(_) => {
                    metrics.accepted.inc();
                    receipt.ack();
                }
                Err(fault) if fault.kind() == FaultKind::TooLarge => self.oversized(event, receipt, letters),
                Err(fault) => {
                    metrics.refused.inc();
                    receipt.nack(fault);
                }
            }
        }
    }

    async fn publish_letters(&self, letters: Batch) {
        if letters.events.is_empty() {
            return;
        }
        let results = self.send(&self.settings.dead_letters, &letters.events, Deduplicate::Event).await;
        for (receipt, result) in letters.receipts.into_iter().zip(results) {
            match result {
                Ok(_) => {
                    self.settings.metrics.poison.inc();
                    receipt.ack();
                }
                Err(fault) => {
                    self.settings.metrics.refused.inc();
                    receipt.nack(fault);
                }
            }
        }
    }

    fn send<'a>(
        &'a self,
        topic: &'a Topic,
        events: &[Event],
        deduplicate: Deduplicate,
    ) -> impl Future<Output = Vec<Result<Published, Fault>>> + 'a {
        let outgoing = |event: &Event| Outgoing { event: event.clone(), delay: None, deduplicate };
        self.settings.bus.publish(topic, events.iter().map(outgoing).collect())
    }

    fn letter(&self, poison: &Poison, position: Position) -> Result<Event, Fault> {
        let Settings { origin, topic, clock, .. } = &self.settings;
        letter::poison(poison, origin, topic, position, clock.now())
            .and_then(|event| letter::fit(&event, self.max_bytes))
    }

    fn oversized(&self, event: &Event, receipt: Receipt, letters: &mut Batch) {
        let fault = Fault::new(FaultKind::TooLarge, "publish", "the event is larger than the bus takes")
            .with_context("bytes", event.record().len().to_string())
            .with_context("limit", self.max_bytes.to_string());
        match letter::unfit(event, &fault, &self.settings.topic, self.max_bytes) {
            Ok(letter) => letters.push(letter, receipt),
            Err(fault) => receipt.nack(fault),
        }
    }
}

#[cfg(test)]
mod tests;
