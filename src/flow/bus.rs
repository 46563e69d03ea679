//! The bus: keeps events per topic and carries them to consumer groups.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Group, Poison, Position, Received, Topic};
use crate::event::Event;
use crate::fault::{Fault, FaultKind};

/// How a bus orders what a group receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// As appended to the topic, as long as nothing is handed out again.
    Topic,
    /// As appended, per `partitionkey`.
    Key,
    /// No promise.
    None,
}

/// What a bus can do, as data: callers ask it, docs print it, the conformance suite picks its
/// cases by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// `Outgoing::delay` is honoured and survives a restart.
    pub delayed: bool,
    /// `Outgoing::deduplicate` is honoured within the bus's window.
    pub deduplicated: bool,
    /// What was published survives the loss of this process and of the machine's power.
    pub durable: bool,
    pub ordering: Ordering,
    /// The largest event taken, in bytes of its record.
    pub max_event_bytes: usize,
}

/// Whether an event that is already on the topic is appended a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deduplicate {
    /// Always appended.
    Never,
    /// Same `source` and `id` within the window: acknowledged, not appended.
    Event,
    /// As `Event`, and the same attempt number: so a parked event comes back for each attempt, but
    /// once.
    Attempt(u32),
}

/// One event on its way to a topic.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub event: Event,
    /// The group members see the event only after this long.
    pub delay: Option<Duration>,
    pub deduplicate: Deduplicate,
}

/// The answer to one published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Appended here.
    At(Position),
    /// Kept, and appended once its delay is over.
    Delayed,
    /// Already on the topic.
    Duplicate,
}

/// Where a consumer group starts that has no position yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
}

/// What a subscriber asks for.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub topic: Topic,
    pub group: Group,
    pub start: Start,
    /// At most this many events are handed out and not yet settled, per member.
    pub max_in_flight: usize,
}

/// One event of a topic, for whoever keeps its own place in it.
#[derive(Clone, Debug)]
pub struct Read {
    /// The event, or what could not be read as one.
    pub event: Result<Event, Poison>,
    pub position: Position,
    /// When the bus took it in.
    pub appended: Timestamp,
}

/// Where a topic ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Where the newest event stands; none when there is none.
    pub position: Option<Position>,
    /// Events that are appended to the topic later than this was told are not older than this, by the bus's time.
    pub time: Timestamp,
}

/// Keeps events per topic, durably, and hands them out to consumer groups until each is settled.
#[async_trait]
pub trait Bus: Send + Sync {
    fn capability(&self) -> Capability;

    /// Publishes a batch and answers for each event, in order. `Ok` means that the bus will not
    /// lose it. Cancelling leaves each event published or not, unknown which.
    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>>;

    /// Joins a consumer group; several members share its events. The group exists, durably, from
    /// the moment this returns: what is published later is kept for it.
    ///
    /// # Errors
    /// When the subscription cannot be made at all; a passing outage is not an error but a wait.
    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault>;

    /// How many parts the topic has, each with an order of its own for readers: [`Bus::read`], [`Bus::end`] and
    /// [`Bus::begin`] take each [`Topic::part`] by itself.
    ///
    /// # Errors
    /// As [`Bus::end`].
    async fn parts(&self, _topic: &Topic) -> Result<u32, Fault> {
        Ok(1)
    }

    /// Reads a topic in its order from behind a position on, or from its oldest event, without a group and without
    /// receipts: the reader keeps its place itself.
    ///
    /// # Errors
    /// `Unsupported` when this bus cannot be read so; otherwise when the reader cannot be made at all.
    async fn read(&self, _topic: &Topic, _after: Option<Position>) -> Result<Box<dyn Reader>, Fault> {
        Err(unreadable())
    }

    /// Where the topic ends, for readers.
    ///
    /// # Errors
    /// `Unsupported` when this bus cannot be read so; otherwise when it does not answer.
    async fn end(&self, _topic: &Topic) -> Result<End, Fault> {
        Err(unreadable())
    }

    /// Behind which position a reader begins that never was, and does not ask for the end; none for the oldest event that
    /// is there. A bus may be set to begin elsewhere.
    ///
    /// # Errors
    /// As [`Bus::end`].
    async fn begin(&self, _topic: &Topic) -> Result<Option<Position>, Fault> {
        Ok(None)
    }

    /// Behind which position a reader goes on that has read up to this one: behind this one, unless the bus sees that
    /// positions began anew since; none for the oldest event that is there.
    ///
    /// # Errors
    /// As [`Bus::end`].
    async fn resume(&self, _topic: &Topic, after: Position) -> Result<Option<Position>, Fault> {
        Ok(Some(after))
    }

    /// How many events of the topic the group has not settled yet.
    ///
    /// # Errors
    /// When the bus cannot tell.
    async fn lag(&self, topic: &Topic, group: &Group) -> Result<u64, Fault>;

    /// How many events of the topic stand behind a position, or in all without one. A bus may stop counting at some
    /// thousands.
    ///
    /// # Errors
    /// As [`Bus::end`].
    async fn behind(&self, _topic: &Topic, _after: Option<Position>) -> Result<u64, Fault> {
        Err(unreadable())
    }

    /// Why the bus cannot do its work at the moment; `None` when it can. For health checks: an
    /// ailment that lasts means that a restart, or a repair, is needed.
    fn ailment(&self) -> Option<Fault>;

    /// How many events were deleted, since the bus was opened, before a group had settled them; 0
    /// from a bus whose retention this process does not apply. For metrics.
    fn lost(&self) -> u64 {
        0
    }

    /// Flushes what is in memory and lets go of the back end. Publishing afterwards fails with
    /// `Closed`; subscribers end.
    ///
    /// # Errors
    /// When the last flush fails.
    async fn close(&self) -> Result<(), Fault>;
}

/// One member of a consumer group. Dropping it leaves the group; what it was handed and has not
/// settled goes to the others, or to the next member.
#[async_trait]
pub trait Subscriber: Send {
    /// Waits for the next events, at least one; empty means that the bus was closed. Cancel-safe:
    /// an event that was taken out and not returned is handed out again.
    ///
    /// # Errors
    /// When the subscription is over for good; a passing outage is waited out inside.
    async fn next(&mut self) -> Result<Vec<Received>, Fault>;
}

/// One reader of a topic, apart from all groups.
#[async_trait]
pub trait Reader: Send {
    /// Waits for the next events in the order of the topic, at least one; empty means that the bus was closed. What
    /// retention deleted is passed over. Cancel-safe.
    ///
    /// # Errors
    /// When it is over for good; a passing outage is waited out inside.
    async fn next(&mut self) -> Result<Vec<Read>, Fault>;
}

fn unreadable() -> Fault {
    Fault::new(FaultKind::Unsupported, "read a topic", "this bus hands out events to groups only")
}
