//! Publishing: into the queue on one side, out of it into a round on the other.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::dedup::fingerprint;
use super::disk::Disk;
use super::layout::{delayed_due, delayed_key, delayed_value, log_key, log_value, split_delayed_value};
use super::queue::{Answers, Job};
use super::round::{DELAYED, Round};
use super::shared::Shared;
use super::topic::{Entry, Topic};
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Deduplicate, Outgoing, Position, Published};

/// At most this many delayed events are moved in one round, so that others are not kept waiting.
const DUE_EVENTS: usize = 1024;

/// And at most about this many bytes.
const DUE_BYTES: usize = 4 << 20;

const OPERATION: &str = "publish";

/// Waits for room, hands the events to the writer and waits for its answers.
pub(super) async fn publish(shared: &Shared, topic: &flow::Topic, events: Vec<Outgoing>) -> Answers {
    let count = events.len();
    if count == 0 {
        return Answers::new();
    }
    let closed = || (0..count).map(|_| Err(Shared::closed(OPERATION))).collect();
    let bytes = events.iter().map(|outgoing| outgoing.event.record().len()).sum();
    let Some(room) = shared.queue.room(bytes).await else { return closed() };
    let (answer, answered) = oneshot::channel();
    if !shared.queue.push(Job::Publish { topic: topic.clone(), events, answer, room }) {
        return closed();
    }
    answered.await.unwrap_or_else(|_| closed())
}

impl Round<'_> {
    /// Adds the events of one publish; answers what each will hear when the round succeeds.
    pub(super) fn publish(&mut self, name: &flow::Topic, events: Vec<Outgoing>) -> Answers {
        let topic = self.shared.topic_or_new(name);
        if events.iter().any(|outgoing| outgoing.deduplicate != Deduplicate::Never)
            && let Err(error) = self.memory.generations.rotate(self.disk, &mut self.batch, self.now)
        {
            tracing::warn!(error = %error, "cannot start a new generation of fingerprints; the old one goes on");
        }
        events.into_iter().map(|outgoing| self.accept(&topic, outgoing)).collect()
    }

    fn accept(&mut self, topic: &Arc<Topic>, outgoing: Outgoing) -> Result<Published, Fault> {
        let Outgoing { event, delay, deduplicate } = outgoing;
        let max = self.shared.config.max_event_bytes;
        if event.record().len() > max {
            let message = format!("the event has {} bytes, at most {max} are taken", event.record().len());
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, message).with_context("topic", topic.name.as_str()));
        }
        if let Some(fingerprint) = fingerprint(topic.id, &event, deduplicate) {
            let known = self.fresh.contains(&fingerprint)
                || self
                    .memory
                    .generations
                    .contains(&fingerprint, self.now)
                    .map_err(|error| self.shared.fault(OPERATION, &error))?;
            if known {
                return Ok(Published::Duplicate);
            }
            let key = self.keys.put(&fingerprint);
            self.memory.generations.add(&mut self.batch, key, &fingerprint, &self.stamp);
            self.fresh.insert(fingerprint);
        }
        match delay {
            Some(delay) if !delay.is_zero() => {
                self.delay(topic, event.record(), delay);
                Ok(Published::Delayed)
            }
            _ => {
                let offset = self.append(topic, Entry { event: Ok(event), appended: self.now });
                Ok(Published::At(Position { major: offset, minor: 0 }))
            }
        }
    }

    fn delay(&mut self, topic: &Arc<Topic>, record: &[u8], delay: Duration) {
        let due = self.now.saturating_add(i64::try_from(delay.as_micros()).unwrap_or(i64::MAX));
        self.memory.delayed += 1;
        let key = delayed_key(due, self.memory.delayed);
        self.batch.insert(&self.disk.delayed, key, delayed_value(topic.id, record));
        self.batch.insert(&self.disk.meta, DELAYED, self.memory.delayed.to_be_bytes());
        self.memory.next_due = Some(self.memory.next_due.map_or(due, |next| next.min(due)));
        // The topic's id is used, so it must be written.
        self.draft(topic.clone());
    }

    /// Appends to the log; answers the offset.
    fn append(&mut self, topic: &Arc<Topic>, entry: Entry) -> u64 {
        let value = log_value(entry.appended, entry.record());
        let draft = self.draft(topic.clone());
        let offset = draft.record.next;
        draft.record.next += 1;
        draft.record.bytes += entry.log_bytes();
        draft.entries.push(entry);
        let key = self.keys.put(&log_key(topic.id, offset));
        self.batch.insert(&self.disk.log, key, value);
        offset
    }

    /// Moves the delayed events that are due to their topics.
    pub(super) fn move_due(&mut self) -> fjall::Result<()> {
        if self.memory.next_due.is_none_or(|due| due > self.now) {
            return Ok(());
        }
        self.pending.moved_delayed = true;
        let mut bytes = 0;
        let until = Bound::Excluded(delayed_key(self.now.saturating_add(1), 0));
        let due = self.disk.delayed.range((Bound::Unbounded::<[u8; 16]>, until));
        for item in due.take(DUE_EVENTS) {
            let (key, value) = item.into_inner()?;
            bytes += value.len();
            let moved = split_delayed_value(&value.into())
                .and_then(|(topic, record)| Some((self.shared.topic_by_id(topic)?, record)));
            if let Some((topic, record)) = moved {
                self.append(&topic, Entry::read(self.now, record));
            } else {
                // The topic is written in the same batch as its first delayed event.
                tracing::error!("a delayed event belongs to no known topic; it is dropped");
            }
            // Copied: the key that was read shares, and would keep, the block that it was read from.
            self.batch.remove(&self.disk.delayed, &*key);
            if bytes >= DUE_BYTES {
                break;
            }
        }
        Ok(())
    }
}

/// When the first delayed event on disk is due.
pub(super) fn first_due(disk: &Disk) -> fjall::Result<Option<i64>> {
    match disk.delayed.first_key_value() {
        Some(first) => Ok(delayed_due(&first.key()?)),
        None => Ok(None),
    }
}
