//! Retention: the oldest events of a topic are deleted when they are too old or too much.
//!
//! The rules do not ask whether an event was read. What a group had not settled is counted and
//! logged as lost, and the group goes on with the oldest event that is kept.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::layout::{LOG_OVERHEAD, log_key, log_offset, split_log_value};
use super::reclaim::drop_tables;
use super::round::Round;
use super::shared::Shared;
use super::topic::Topic;
use crate::task;

/// At most this many events are looked at in one round, so that publishers are not kept waiting.
const CHUNK: usize = 1024;

impl Round<'_> {
    /// Deletes the next chunk of a topic; answers how many events, 0 when the rules are satisfied.
    pub(super) fn delete_oldest(&mut self, topic: &Arc<Topic>) -> fjall::Result<u64> {
        let config = &self.shared.config;
        let age = i64::try_from(config.retention_age.as_micros()).unwrap_or(i64::MAX);
        let oldest = self.now.saturating_sub(age);
        let limit = config.retention_bytes;
        let before = topic.record();
        let mut record = before;
        if record.first == record.next {
            return Ok(0);
        }
        let kept = log_key(topic.id, record.first)..log_key(topic.id, record.next);
        for item in self.disk.log.range(kept).take(CHUNK) {
            let (key, value) = item.into_inner()?;
            let bytes = (value.len() as u64).saturating_sub(8) + LOG_OVERHEAD;
            let too_old = split_log_value(&value.into()).is_some_and(|(appended, _)| appended < oldest);
            if !too_old && record.bytes <= limit {
                break;
            }
            record.first = log_offset(&key).unwrap_or(record.first) + 1;
            record.bytes = record.bytes.saturating_sub(bytes);
        }
        let deleted = record.first - before.first;
        if deleted > 0 {
            // The round may append to the topic as well: take over only what changed here.
            let draft = self.draft(topic.clone());
            draft.record.first = record.first;
            draft.record.bytes = draft.record.bytes.saturating_sub(before.bytes - record.bytes);
            draft.deleted = deleted;
        }
        Ok(deleted)
    }
}

/// A topic's first offset was raised on disk: what lies below may go, and its groups move up.
pub(super) fn raise(shared: &Shared, topic: &Topic, first: u64) {
    shared.slot.floors().raise(topic.id, first);
    for group in topic.groups() {
        let (lost, moved) = group.raise(first);
        if lost > 0 {
            shared.count_lost(lost);
            tracing::warn!(
                topic = %topic.name, group = %group.name(), lost,
                "retention deleted events that the group had not settled"
            );
        }
        if moved {
            shared.queue.moved(group);
        }
    }
}

/// Gets the space of deleted events back, on a thread of its own: it waits for compactions, and
/// the writer must not.
pub(super) fn reclaim(shared: Arc<Shared>, topics: Vec<Arc<Topic>>) -> std::io::Result<JoinHandle<()>> {
    task::thread("bus-reclaim", move || {
        for topic in topics {
            if shared.queue.is_closed() {
                break;
            }
            let first = topic.record().first;
            let dropped = shared.slot.with("reclaim space", |disk| drop_tables(&disk.log, topic.id, first));
            if let Err(fault) = dropped {
                tracing::warn!(topic = %topic.name, error = %fault.chain(), "the space of deleted events is not free yet");
            }
        }
    })
}
