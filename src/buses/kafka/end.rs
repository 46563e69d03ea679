//! Where a topic ends, and what time it is there.
//!
//! No broker tells its time but by the messages that it takes. So a message without anything in it is sent to a topic
//! of its own now and then, and in between our own clock counts on from what came back. What brokers have taken
//! may be seen a moment later, when every replica has it, and their clocks differ a little: the time that is told is
//! as much earlier.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureRecord, Producer};

use super::cluster::{Cluster, LOOK, PATIENCE, lock};
use super::message;
use super::read::Stood;
use super::topics::{Topics, unstamped};
use crate::dial::kafka::{Listener, fault};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Position, Topic};
use crate::task;

pub(super) const OPERATION: &str = "look for the end of a topic";
/// How long what a broker told of its time is counted on from.
const FRESH: Duration = Duration::from_secs(1);
/// What has a time that was this long ago is there for all to read, by the clocks of several brokers.
const SETTLE: SignedDuration = SignedDuration::from_millis(500);
/// As above, where a single broker keeps everything.
const ALONE: SignedDuration = SignedDuration::from_millis(100);

/// What a broker told of its time.
pub(super) struct Told {
    at: Timestamp,
    /// Since it was told.
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
}

/// The time of the brokers; no message that comes later has an earlier one.
#[derive(Default)]
pub(super) struct Time(tokio::sync::Mutex<Option<Told>>);

impl Time {
    /// # Errors
    /// When the brokers do not answer.
    pub(super) async fn now(&self, cluster: &Cluster, topics: &Topics) -> Result<Timestamp, Fault> {
        let mut told = self.0.lock().await;
        if let Some(Told { at, elapsed }) = told.as_ref().filter(|told| (told.elapsed)() < FRESH) {
            return Ok(at.checked_add(elapsed()).unwrap_or(*at));
        }
        let name = topics.ensure_clock().await?;
        let at = ask(cluster, &name).await.inspect_err(|_| topics.forget(&name))?;
        *told = Some(Told { at, elapsed: Box::new(task::stopwatch()) });
        Ok(at)
    }
}

async fn ask(cluster: &Cluster, name: &str) -> Result<Timestamp, Fault> {
    let producer = cluster.producer();
    let record: FutureRecord<'_, (), ()> = FutureRecord::to(name).partition(0);
    let sent = producer.send_result(record).map_err(|(error, _)| fault(OPERATION, error))?;
    let sent = sent.await.map_err(|_| Fault::new(FaultKind::Closed, OPERATION, "the client is closed"))?;
    let sent = sent.map_err(|(error, _)| fault(OPERATION, error)).inspect_err(|_| cluster.check(&producer))?;
    let time = stamp(sent.timestamp).ok_or_else(|| unstamped(OPERATION, name))?;
    let brokers = task::blocking(OPERATION, move || {
        let found = producer.client().fetch_metadata(None, LOOK).map_err(|error| fault(OPERATION, error))?;
        Ok(found.brokers().len())
    });
    time.checked_sub(if brokers.await? > 1 { SETTLE } else { ALONE })
        .map_err(|error| Fault::new(FaultKind::Malformed, OPERATION, "the broker's time is none").with_source(error))
}

/// The time that a broker gave a message; our own clock's is none of its.
pub(super) fn stamp(timestamp: rdkafka::Timestamp) -> Option<Timestamp> {
    match timestamp {
        rdkafka::Timestamp::LogAppendTime(millis) => Timestamp::from_millisecond(millis).ok(),
        _ => None,
    }
}

/// Where the newest event of a part stands; blocks. `stood` is where a reader of it stands, if there is one.
pub(super) fn newest(
    consumer: &BaseConsumer<Listener>,
    topic: &Topic,
    stood: Option<&Mutex<Stood>>,
) -> Result<Option<Position>, Fault> {
    let (low, high) = match marks(consumer, topic) {
        // There is nothing in it yet.
        Err(fault) if fault.kind() == FaultKind::NotFound && stood.is_none_or(|stood| lock(stood).next == 0) => {
            return Ok(None);
        }
        marks => marks?,
    };
    if high <= low {
        return Ok(None);
    }
    if let Some(stood) = stood {
        let stood = lock(stood);
        // What comes behind its last event is none.
        if stood.next >= high {
            return Ok(stood.last);
        }
    }
    Ok(Some(message::position(partition(topic), high - 1)))
}

/// Where a reader goes on that has read a part up to a position: nowhere, when the part ends before it; blocks.
pub(super) fn resume(
    consumer: &BaseConsumer<Listener>,
    topic: &Topic,
    after: Position,
) -> Result<Option<Position>, Fault> {
    let (_, high) = match marks(consumer, topic) {
        // Once it is there again, its reader sees.
        Err(fault) if fault.kind() == FaultKind::NotFound => return Ok(Some(after)),
        marks => marks?,
    };
    let next = message::next(Some(after));
    if next <= high {
        return Ok(Some(after));
    }
    let (topic, partition) = (topic.whole(), partition(topic));
    tracing::warn!(%topic, partition, read = next, end = high, "a partition ends before what was read of it: its topic was made anew or cut short, and it is read from its start");
    Ok(None)
}

/// How many messages of a part stand behind a position; blocks. Marks of transactions are counted, too.
pub(super) fn behind(consumer: &BaseConsumer<Listener>, topic: &Topic, after: Option<Position>) -> Result<u64, Fault> {
    let (low, high) = match marks(consumer, topic) {
        Err(fault) if fault.kind() == FaultKind::NotFound && after.is_none() => return Ok(0),
        marks => marks?,
    };
    Ok(u64::try_from(high - message::next(after).max(low)).unwrap_or(0))
}

fn partition(topic: &Topic) -> i32 {
    i32::try_from(topic.number()).unwrap_or(i32::MAX)
}

/// The first offset of a part, and the next one.
fn marks(consumer: &BaseConsumer<Listener>, topic: &Topic) -> Result<(i64, i64), Fault> {
    // For what the client has to say.
    while consumer.poll(Duration::ZERO).is_some() {}
    let marks = consumer.fetch_watermarks(topic.whole().as_str(), partition(topic), PATIENCE);
    marks.map_err(|error| fault(OPERATION, error).with_context("topic", topic.whole().to_string()))
}
