//! A member of a consumer group: picks offsets, finds their events, hands them out.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::group::{Group, Pick, Picks};
use super::layout::TopicRecord;
use super::log::{self, READ_EVENTS, Wanted};
use super::queue::Job;
use super::shared::Shared;
use super::topic::{Entry, Topic};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Position, Receipt, Received, Settle, Subscriber, Subscription, Verdict};
use crate::task;

/// The pause after the disk could not be read.
const READ_RETRY: Duration = Duration::from_millis(500);

/// Waiting for nothing in particular; a wake-up ends it.
const LONG: Duration = Duration::from_secs(3600);

/// Joins a group, which is made first when it does not exist.
pub(super) async fn join(shared: &Arc<Shared>, subscription: Subscription) -> Result<Member, Fault> {
    let Subscription { topic, group, start, max_in_flight } = subscription;
    let known = shared.topic(&topic).and_then(|topic| Some((topic.group(&group)?, topic)));
    let (topic, group) = match known {
        Some((group, topic)) if !shared.queue.is_closed() => (topic, group),
        _ => {
            let (answer, answered) = oneshot::channel();
            if !shared.queue.push(Job::Join { topic, group, start, answer }) {
                return Err(Shared::closed("subscribe"));
            }
            answered.await.unwrap_or_else(|_| Err(Shared::closed("subscribe")))?
        }
    };
    let seat = Seat { id: group.join(), group: group.clone(), shared: shared.clone() };
    Ok(Member { topic, group, seat: Arc::new(seat), max: max_in_flight.max(1), ahead: VecDeque::new() })
}

pub(super) struct Member {
    topic: Arc<Topic>,
    group: Arc<Group>,
    seat: Arc<Seat>,
    max: usize,
    /// Read from the disk behind what was picked, ascending; others may take these offsets first.
    ahead: VecDeque<(u64, Entry)>,
}

/// The member as its receipts know it.
struct Seat {
    id: u64,
    group: Arc<Group>,
    shared: Arc<Shared>,
}

impl Settle for Seat {
    fn settle(&self, token: u64, verdict: Verdict) {
        if self.group.settle(self.id, token, &verdict, self.shared.uptime()) {
            self.shared.queue.moved(self.group.clone());
        }
    }
}

/// Offsets that were picked and not handed out yet; they go back when this is dropped.
struct Picked {
    seat: Arc<Seat>,
    picks: VecDeque<Pick>,
}

impl Drop for Picked {
    fn drop(&mut self) {
        for pick in self.picks.drain(..) {
            self.seat.group.release(self.seat.id, pick);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.group.leave(self.seat.id);
        self.topic.trim();
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        loop {
            let group = self.group.clone();
            let mut woken = pin!(group.woken());
            // From here on no wake-up is missed, so what is looked at next cannot be too old.
            woken.as_mut().enable();
            if self.seat.shared.queue.is_closed() {
                return Ok(Vec::new());
            }
            let record = self.topic.record();
            let now = self.seat.shared.uptime();
            let Picks { picks, next_due } = group.pick(self.seat.id, self.max, READ_EVENTS, record.next, now);
            if picks.is_empty() {
                let limit = next_due.map_or(LONG, |due| due.saturating_sub(now));
                task::within(limit, woken).await;
                continue;
            }
            let picked = Picked { seat: self.seat.clone(), picks: picks.into() };
            match self.find(picked, record).await {
                Ok(received) if received.is_empty() => {}
                Ok(received) => return Ok(received),
                Err(fault) => {
                    tracing::warn!(topic = %self.topic.name, error = %fault.chain(), "cannot read events; trying again");
                    task::sleep(READ_RETRY).await;
                }
            }
        }
    }
}

impl Member {
    /// Finds the picked events in memory, among what was read ahead, or on disk; what could not be
    /// read this time goes back. Cancel-safe: so does everything when this is dropped.
    async fn find(&mut self, mut picked: Picked, record: TopicRecord) -> Result<Vec<Received>, Fault> {
        let mut found = self.topic.recent(picked.picks.iter().map(|pick| pick.offset));
        self.topic.trim();
        let mut missing = Vec::new();
        for (pick, entry) in picked.picks.iter().zip(&mut found) {
            if entry.is_none() {
                *entry = self.take_ahead(pick.offset);
            }
            if entry.is_none() {
                missing.push(pick.offset);
            }
        }
        let mut gone = 0..0;
        if !missing.is_empty() {
            missing.sort_unstable();
            let wanted = Wanted { topic: self.topic.id, offsets: missing, next: record.next };
            gone.start = wanted.offsets[0];
            let shared = self.seat.shared.clone();
            let sweep = task::blocking("read the log", move || log::read(&shared.slot, &wanted)).await?;
            gone.end = sweep.to;
            self.ahead = sweep.entries.into();
            for (pick, entry) in picked.picks.iter().zip(&mut found) {
                if entry.is_none() {
                    *entry = self.take_ahead(pick.offset);
                }
            }
        }
        Ok(self.hand_out(&mut picked, found, &gone))
    }

    /// Turns picks into what is handed out. An offset in `gone` that was not found is not kept any
    /// more; any other stays picked, and goes back.
    fn hand_out(&self, picked: &mut Picked, found: Vec<Option<Entry>>, gone: &std::ops::Range<u64>) -> Vec<Received> {
        let mut received = Vec::with_capacity(found.len());
        for entry in found {
            let Some(pick) = picked.picks.pop_front() else { break };
            match entry {
                Some(entry) => received.push(self.receive(pick, entry)),
                None if gone.contains(&pick.offset) => {
                    tracing::warn!(topic = %self.topic.name, offset = pick.offset, "an event is not kept any more");
                    self.seat.shared.count_lost(1);
                    self.seat.settle(pick.offset, Verdict::Ack);
                }
                None => {
                    // Those behind it go back too, so that the order holds.
                    picked.picks.push_front(pick);
                    break;
                }
            }
        }
        received
    }

    fn receive(&self, pick: Pick, entry: Entry) -> Received {
        Received {
            appended: entry.appended_at(),
            event: entry.event,
            position: Position { major: pick.offset, minor: 0 },
            attempt: pick.attempt,
            receipt: Receipt::new(self.seat.clone(), pick.offset),
        }
    }

    /// Takes an offset from what was read ahead, and forgets what is in front of it.
    fn take_ahead(&mut self, offset: u64) -> Option<Entry> {
        while let Some((front, _)) = self.ahead.front() {
            if *front > offset {
                return None;
            }
            let (front, entry) = self.ahead.pop_front()?;
            if front == offset {
                return Some(entry);
            }
        }
        None
    }
}

impl Shared {
    /// What everyone hears after the bus was closed.
    pub(super) fn closed(operation: &'static str) -> Fault {
        Fault::new(FaultKind::Closed, operation, "the bus is closed")
    }
}
