//! The journal: the latest events of a router, and what was decided on each.
//!
//! An [`Observer`] that keeps what it is told in a ring of bytes that is had once: nothing is allocated for an event, its record
//! and a few names are copied. It does not ask which filters said no, because there may be thousands of
//! them: whoever explains an event has it here, and filters are pure.

mod ring;
mod step;

pub use step::Step;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use self::ring::{Entry, Ring};
use self::step::millis;
use crate::event::{Event, record};
use crate::router::decision::{Decision, Observer};
use crate::task::Clock;

/// The smallest journal: room for the largest attributes and a few names.
pub const SMALLEST: usize = 64 << 10;

/// The kinds of entries.
mod kind {
    pub const RECEIVED: u8 = 0;
    pub const JOINED: u8 = 1;
    pub const UNMATCHED: u8 = 2;
    pub const DELIVERED: u8 = 3;
    pub const RETRYING: u8 = 4;
    pub const PARKED: u8 = 5;
    pub const REPLAYED: u8 = 6;
    pub const DEAD: u8 = 7;
    pub const DROPPED: u8 = 8;
    pub const RETURNED: u8 = 9;
    pub const UNTRANSFORMED: u8 = 10;
}

/// Keeps the latest decisions of all routers of a process.
#[derive(Debug)]
pub struct Journal {
    clock: Clock,
    ring: Mutex<Ring>,
}

/// What is kept of one event.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The event as it came; nothing when that is forgotten already, or when it was too large to be kept.
    pub event: Option<Event>,
    /// The topics on which it came.
    pub topics: Vec<String>,
    /// What was decided, in the order in which it was.
    pub steps: Vec<(Timestamp, Step)>,
}

/// An event in the list of the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    pub id: String,
    pub at: Timestamp,
    pub step: Step,
}

impl Journal {
    /// A journal of `capacity` bytes, at least [`SMALLEST`].
    pub fn new(capacity: usize, clock: Clock) -> Self {
        Self { clock, ring: Mutex::new(Ring::new(capacity.max(SMALLEST))) }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept of the events with this id; nothing when there is none. Of several, the record is the latest.
    pub fn story(&self, id: &str) -> Option<Story> {
        let mut story = Story::default();
        let entries: Vec<Entry> = {
            let ring = self.ring();
            let same = |entry: &Entry| entry.texts.first().is_some_and(|text| text == id.as_bytes());
            ring.entries().filter(same).collect()
        };
        for entry in entries {
            if let (kind::RECEIVED, [_, topic, bytes]) = (entry.kind, &entry.texts[..]) {
                let topic = text(topic);
                if !story.topics.contains(&topic) {
                    story.topics.push(topic);
                }
                story.event = record::read(Bytes::from(bytes.clone())).ok();
            }
            story.steps.extend(step(&entry).map(|step| (time(&entry), step)));
        }
        (!story.steps.is_empty()).then_some(story)
    }

    /// The events that were decided on last, the latest first, each with its last decision.
    pub fn latest(&self, most: usize) -> Vec<Latest> {
        let mut last: HashMap<Vec<u8>, (usize, Entry)> = HashMap::new();
        for (number, mut entry) in self.ring().entries().enumerate() {
            if let Some(id) = entry.texts.first_mut().map(std::mem::take) {
                // The record is large, and not wanted here.
                entry.texts.truncate(if entry.kind == kind::RECEIVED { 2 } else { usize::MAX });
                last.insert(id, (number, entry));
            }
        }
        let mut all: Vec<(Vec<u8>, (usize, Entry))> = last.into_iter().collect();
        all.sort_unstable_by_key(|(_, (number, _))| std::cmp::Reverse(*number));
        let latest = all.into_iter().take(most);
        latest
            .filter_map(|(id, (_, entry))| Some(Latest { id: text(&id), at: time(&entry), step: step(&entry)? }))
            .collect()
    }

    fn keep(&self, kind: u8, count: u32, span: u64, texts: &[&[u8]]) {
        let at = self.clock.now().as_microsecond();
        self.ring().push(kind, at, count, span, texts);
    }

    fn keep_received(&self, id: &[u8], topic: &[u8], bytes: &[u8]) {
        let at = self.clock.now().as_microsecond();
        let mut ring = self.ring();
        let whole = [id, topic, bytes];
        let bare = [id, topic, &[]];
        let texts = if ring.fits(&whole) { &whole } else { &bare };
        ring.push(kind::RECEIVED, at, 0, 0, texts);
    }
}

impl Observer for Journal {
    fn enabled(&self) -> bool {
        true
    }

    fn wants_filtered(&self) -> bool {
        false
    }

    fn decided(&self, event: &Event, decision: &Decision<'_>) {
        let id = event.id().as_bytes();
        match *decision {
            Decision::Received { topic } => self.keep_received(id, topic.as_str().as_bytes(), event.record()),
            Decision::Filtered { .. } => {}
            Decision::Untransformed { trigger, input, cause } => {
                let texts = [id, trigger.as_bytes(), input.as_bytes(), cause.as_bytes()];
                self.keep(kind::UNTRANSFORMED, 0, 0, &texts);
            }
            Decision::Joined { subscriber, step } => {
                self.keep(kind::JOINED, 0, 0, &[id, subscriber.as_bytes(), step.as_bytes()]);
            }
            Decision::Unmatched { .. } => self.keep(kind::UNMATCHED, 0, 0, &[id]),
            Decision::Delivered { subscriber, address, code, attempt, took } => {
                // The span has the status in its lowest bits.
                let span = (millis(took) << 16) | u64::from(code.unwrap_or(0));
                self.keep(kind::DELIVERED, attempt, span, &[id, subscriber.as_bytes(), address.as_bytes()]);
            }
            Decision::Retrying { subscriber, address, fault, attempt, pause } => {
                let (fault, pause) = (fault.chain(), millis(pause));
                let texts = [id, subscriber.as_bytes(), address.as_bytes(), fault.as_bytes()];
                self.keep(kind::RETRYING, attempt, pause, &texts);
            }
            Decision::Parked { subscriber, fault, attempts, due } => {
                let (fault, due) = (fault.chain(), millis(due));
                self.keep(kind::PARKED, attempts, due, &[id, subscriber.as_bytes(), fault.as_bytes()]);
            }
            Decision::Replayed { subscriber, attempts } => {
                self.keep(kind::REPLAYED, attempts, 0, &[id, subscriber.as_bytes()]);
            }
            Decision::Dead { subscriber, reason, fault, attempts, to } => {
                let fault = fault.chain();
                let reason = reason.as_str().as_bytes();
                let texts = [id, subscriber.as_bytes(), reason, to.as_bytes(), fault.as_bytes()];
                self.keep(kind::DEAD, attempts, 0, &texts);
            }
            Decision::Dropped { subscriber, fault } => {
                self.keep(kind::DROPPED, 0, 0, &[id, subscriber.as_bytes(), fault.chain().as_bytes()]);
            }
            Decision::Returned { fault } => self.keep(kind::RETURNED, 0, 0, &[id, fault.chain().as_bytes()]),
        }
    }
}

/// The step of an entry. Its id may have been taken out, but is still counted.
fn step(entry: &Entry) -> Option<Step> {
    let part = |index: usize| entry.texts.get(index).map(|part| text(part)).unwrap_or_default();
    let (attempt, attempts, subscriber) = (entry.count, entry.count, part(1));
    Some(match entry.kind {
        kind::RECEIVED => Step::Received { topic: part(1) },
        kind::UNTRANSFORMED => Step::Untransformed { trigger: part(1), input: part(2), cause: part(3) },
        kind::JOINED => Step::Joined { subscriber, what: part(2) },
        kind::UNMATCHED => Step::Unmatched,
        kind::DELIVERED => {
            let code = u16::try_from(entry.span & 0xffff).ok().filter(|code| *code != 0);
            Step::Delivered { subscriber, address: part(2), code, attempt, millis: entry.span >> 16 }
        }
        kind::RETRYING => {
            Step::Retrying { subscriber, address: part(2), attempt, pause_millis: entry.span, fault: part(3) }
        }
        kind::PARKED => Step::Parked { subscriber, attempts, due_millis: entry.span, fault: part(2) },
        kind::REPLAYED => Step::Replayed { subscriber, attempts },
        kind::DEAD => Step::Dead { subscriber, reason: part(2), attempts, address: part(3), fault: part(4) },
        kind::DROPPED => Step::Dropped { subscriber, fault: part(2) },
        kind::RETURNED => Step::Returned { fault: part(1) },
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn time(entry: &Entry) -> Timestamp {
    Timestamp::from_microsecond(entry.at).unwrap_or_default()
}

#[cfg(test)]
mod tests;
