//! Delayed delivery: events wait in a topic beside the others and are moved when they are due.
//!
//! Two headers say when, and where to. The processes of the bus share the topic as a group; each holds
//! what waits in its partitions in memory, and settles an event there when the topic that it is meant
//! for has it. So whoever restarts finds what was not moved; when a mover dies between the two steps,
//! the event comes twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;

use super::cluster::{Cluster, OUTAGE};
use super::config;
use super::topics::Topics;
use crate::dial::kafka::{Message, Reader, Reading, Token, fault};
use crate::fault::{Fault, FaultKind};
use crate::task::{self, Clock, Shutdown};

const OPERATION: &str = "move a delayed event";
/// When the event is due, RFC 3339.
const DUE: &str = "penstock-due";
/// The topic that it is meant for.
const TOPIC: &str = "penstock-topic";
/// Events that are held until they are due, at most: those behind them are looked at when there is room.
const MAX_HELD: usize = 65_536;
/// The same in bytes.
const MAX_HELD_BYTES: usize = 64 << 20;
/// Events on their way to their topics, at most.
const MAX_MOVING: usize = 1024;
/// The pause after an event could not be moved.
const AGAIN: Duration = Duration::from_secs(1);
/// For the last commit.
const LEAVING: Duration = Duration::from_secs(5);

/// The headers of an event that waits, beside its own.
pub(super) fn mark(headers: OwnedHeaders, topic: &str, due: Timestamp) -> OwnedHeaders {
    let due = due.to_string();
    headers.insert(Header { key: DUE, value: Some(due.as_str()) }).insert(Header { key: TOPIC, value: Some(topic) })
}

/// An event that was to be moved, and whether it was.
type Moved = (Token, Message, Result<(), Fault>);

/// What moves events, until the bus is closed.
pub(super) struct Mover {
    pub cluster: Arc<Cluster>,
    pub topics: Arc<Topics>,
    pub clock: Clock,
    pub gone: Shutdown,
}

/// What waits, in the order in which it is due.
#[derive(Default)]
struct Waiting {
    events: BTreeMap<(Timestamp, Token), Message>,
    bytes: usize,
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.events.len() >= MAX_HELD || self.bytes >= MAX_HELD_BYTES
    }

    fn put(&mut self, due: Timestamp, token: Token, message: Message) {
        self.bytes += message.payload.len();
        self.events.insert((due, token), message);
    }

    fn take(&mut self, now: Timestamp) -> Option<(Token, Message)> {
        let entry = self.events.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((_, token), message) = entry.remove_entry();
        self.bytes -= message.payload.len();
        Some((token, message))
    }

    /// Forgets what another process has now.
    fn keep(&mut self, reader: &Reader) {
        self.events.retain(|(_, token), _| reader.is_current(*token));
        self.bytes = self.events.values().map(|message| message.payload.len()).sum();
    }
}

impl Mover {
    /// # Errors
    /// None: what cannot be done now is tried again.
    pub(super) async fn run(self) -> Result<(), Fault> {
        let mut failures = 0;
        while !self.gone.is_requested() {
            let topic = self.cluster.delayed();
            let group = config::mover(&self.cluster.config.name);
            let client = self.cluster.consumer();
            let reading = Reading { topic, group, partition: None, oldest: true, client };
            let open = async {
                self.topics.ensure_delayed().await?;
                Reader::open(reading).await
            };
            let opened = tokio::select! {
                opened = open => opened,
                () = self.gone.requested() => return Ok(()),
            };
            let moved = match opened {
                Ok(reader) => {
                    failures = 0;
                    self.work(reader).await
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = moved {
                failures += 1;
                // Whoever may not make the topic and parks nothing needs it not.
                if fault.kind() != FaultKind::Denied {
                    tracing::warn!(error = %fault.chain(), "delayed events cannot be read; trying again");
                }
                tokio::select! {
                    () = task::sleep(OUTAGE.pause(failures)) => {}
                    () = self.gone.requested() => {}
                }
            }
        }
        Ok(())
    }

    async fn work(&self, reader: Reader) -> Result<(), Fault> {
        let mut filled = reader.filled();
        let mut waiting = Waiting::default();
        let mut moving = FuturesUnordered::new();
        loop {
            if self.gone.is_requested() {
                reader.close(LEAVING).await;
                return Ok(());
            }
            filled.mark_unchanged();
            waiting.keep(&reader);
            while !waiting.is_full() {
                let Some((token, message)) = reader.next()? else { break };
                let due = header(&message, DUE).and_then(|text| text.parse().ok()).unwrap_or(Timestamp::MIN);
                waiting.put(due, token, message);
            }
            // One time for all, so that those of one moment are moved in order.
            let now = self.clock.now();
            while moving.len() < MAX_MOVING
                && let Some((token, message)) = waiting.take(now)
            {
                moving.push(self.send(token, message));
            }
            let next = waiting.events.keys().next().map(|(due, _)| Duration::try_from(due.duration_since(now)));
            let next = next.and_then(Result::ok).filter(|_| moving.len() < MAX_MOVING);
            tokio::select! {
                Some(moved) = moving.next(), if !moving.is_empty() => match moved {
                    (token, _, Ok(())) => reader.settle(token),
                    (token, message, Err(fault)) => {
                        tracing::warn!(error = %fault.chain(), "a delayed event cannot be moved; trying again");
                        waiting.put(now.checked_add(AGAIN).unwrap_or(now), token, message);
                    }
                },
                _ = filled.changed(), if !waiting.is_full() => {}
                () = task::sleep(next.unwrap_or_default()), if next.is_some() => {}
                () = self.gone.requested() => {}
            }
        }
    }

    /// Sends an event to the topic that it is meant for.
    fn send(&self, token: Token, message: Message) -> impl Future<Output = Moved> + use<'_> {
        let topic = header(&message, TOPIC).unwrap_or_default().to_owned();
        let mut headers = OwnedHeaders::new();
        for (name, value) in message.headers.iter().filter(|(name, _)| name != DUE && name != TOPIC) {
            headers = headers.insert(Header { key: name, value: Some(&value[..]) });
        }
        let producer = self.cluster.producer();
        let sent = {
            let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&topic).headers(headers);
            // An empty value and none are one thing to a reader.
            if !message.payload.is_empty() {
                record = record.payload(&message.payload);
            }
            if let Some(key) = &message.key {
                record = record.key(key);
            }
            producer.send_result(record).map_err(|(error, _)| fault(OPERATION, error))
        };
        async move {
            let outcome = match sent {
                Err(fault) => Err(fault),
                Ok(delivery) => match delivery.await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err((error, _))) => Err(fault(OPERATION, error)),
                    Err(_) => Err(Fault::new(FaultKind::Closed, OPERATION, "the client is closed")),
                },
            };
            if outcome.is_err() {
                self.cluster.check(&producer);
                self.topics.forget(&topic);
                // It may have been deleted meanwhile.
                drop(self.topics.ensure(&topic).await);
            }
            (token, message, outcome)
        }
    }
}

fn header<'a>(message: &'a Message, wanted: &str) -> Option<&'a str> {
    let (_, value) = message.headers.iter().find(|(name, _)| name == wanted)?;
    std::str::from_utf8(value).ok()
}
