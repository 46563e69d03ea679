//! A reader of a topic, apart from its groups.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::log::{self, READ_EVENTS, Wanted};
use super::shared::Shared;
use super::topic::{Entry, Topic};
use crate::fault::Fault;
use crate::flow::{self, End, Position, Read};
use crate::task;

/// A topic that nobody published to yet is looked for this often.
const LOOK: Duration = Duration::from_millis(20);

/// The pause after the disk could not be read.
const READ_RETRY: Duration = Duration::from_millis(500);

pub(super) struct Reader {
    shared: Arc<Shared>,
    name: flow::Topic,
    /// With the cursor that keeps what is not read yet in memory.
    topic: Option<(Arc<Topic>, Arc<AtomicU64>)>,
    /// The next offset.
    next: u64,
}

impl Reader {
    pub(super) fn new(shared: &Arc<Shared>, topic: &flow::Topic, after: Option<Position>) -> Self {
        let next = after.map_or(0, |position| position.major + 1);
        Self { shared: shared.clone(), name: topic.clone(), topic: None, next }
    }

    /// The topic, once there is one.
    fn find(&mut self) -> Option<Arc<Topic>> {
        if self.topic.is_none() {
            let topic = self.shared.topic(&self.name)?;
            let cursor = topic.reader(self.next);
            self.topic = Some((topic, cursor));
        }
        self.topic.as_ref().map(|(topic, _)| topic.clone())
    }

    fn advance(&mut self, next: u64) {
        self.next = next;
        if let Some((topic, cursor)) = &self.topic {
            cursor.store(next, Ordering::Relaxed);
            topic.trim();
        }
    }
}

#[async_trait]
impl flow::Reader for Reader {
    async fn next(&mut self) -> Result<Vec<Read>, Fault> {
        loop {
            if self.shared.queue.is_closed() {
                return Ok(Vec::new());
            }
            let Some(topic) = self.find() else {
                task::sleep(LOOK).await;
                continue;
            };
            let mut appended = pin!(topic.appended());
            // From here on no wake-up is missed, so what is looked at next cannot be too old.
            appended.as_mut().enable();
            if self.shared.queue.is_closed() {
                return Ok(Vec::new());
            }
            let record = topic.record();
            if self.next < record.first {
                tracing::warn!(topic = %topic.name, events = record.first - self.next, "events to be joined are not kept any more");
                self.shared.count_lost(record.first - self.next);
                self.advance(record.first);
            }
            if self.next >= record.next {
                appended.await;
                continue;
            }
            let end = record.next.min(self.next + READ_EVENTS as u64);
            let recent = topic.recent(self.next..end);
            let mut entries: Vec<(u64, Entry)> =
                (self.next..).zip(recent.into_iter().map_while(|entry| entry)).collect();
            let mut next = self.next + entries.len() as u64;
            if entries.is_empty() {
                let wanted = Wanted { topic: topic.id, offsets: vec![self.next], next: record.next };
                let shared = self.shared.clone();
                match task::blocking("read the log", move || log::read(&shared.slot, &wanted)).await {
                    Ok(sweep) => (entries, next) = (sweep.entries, sweep.to),
                    Err(fault) => {
                        tracing::warn!(topic = %topic.name, error = %fault.chain(), "cannot read events; trying again");
                        task::sleep(READ_RETRY).await;
                        continue;
                    }
                }
            }
            self.advance(next);
            if !entries.is_empty() {
                return Ok(entries.into_iter().map(|(offset, entry)| read(offset, entry)).collect());
            }
        }
    }
}

fn read(offset: u64, entry: Entry) -> Read {
    let appended = entry.appended_at();
    Read { event: entry.event, position: Position { major: offset, minor: 0 }, appended }
}

/// Where a topic ends.
pub(super) fn end(shared: &Shared, topic: &flow::Topic) -> Result<End, Fault> {
    const OPERATION: &str = "look for the end of a topic";
    if shared.queue.is_closed() {
        return Err(Shared::closed(OPERATION));
    }
    // What could not be written may turn up later, with an earlier time.
    if let Some(fault) = shared.ailment() {
        return Err(fault);
    }
    let time = Timestamp::from_microsecond(shared.settled()).unwrap_or(Timestamp::MIN);
    let record = shared.topic(topic).map(|topic| topic.record()).filter(|record| record.first < record.next);
    let position = record.map(|record| Position { major: record.next - 1, minor: 0 });
    Ok(End { position, time })
}

/// How many events of a topic that are kept stand behind a position.
pub(super) fn behind(shared: &Shared, topic: &flow::Topic, after: Option<Position>) -> u64 {
    let next = after.map_or(0, |position| position.major + 1);
    shared.topic(topic).map_or(0, |topic| {
        let record = topic.record();
        record.next.saturating_sub(next.max(record.first))
    })
}
