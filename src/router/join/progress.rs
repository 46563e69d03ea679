//! How far a topic was read, and how far it is decided on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::inbox::Order;
use crate::flow::{End, Position, Topic};

/// One topic, or a part of one, read by one reader in order.
#[derive(Debug)]
pub struct Progress {
    pub topic: Topic,
    bound: Mutex<Bound>,
    /// Up to where each subscriber, by its id, has decided.
    decided: Mutex<BTreeMap<String, Option<Position>>>,
}

/// What is known of the events of a topic that were not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// Each comes after this one, which was read last.
    at: Timestamp,
    position: Option<Position>,
    /// And none is older than this.
    end: Timestamp,
}

impl Bound {
    /// Whether every event of the topic that is not read yet comes after the one with this order; `topic` is the place of the topic.
    pub fn is_after(&self, order: Order, topic: usize) -> bool {
        order.0 < self.end || self.position.is_some_and(|position| order <= (self.at, position, topic))
    }

    /// No event that is not read yet is older.
    pub fn time(&self) -> Timestamp {
        self.at.max(self.end)
    }

    pub const fn position(&self) -> Option<Position> {
        self.position
    }
}

impl Progress {
    pub fn new(topic: Topic) -> Self {
        let bound = Bound { at: Timestamp::MIN, position: None, end: Timestamp::MIN };
        Self { topic, bound: Mutex::new(bound), decided: Mutex::default() }
    }

    /// Says from where the topic is read.
    pub fn begin(&self, after: Option<Position>) {
        let mut bound = self.lock();
        bound.position = bound.position.max(after);
    }

    /// When an event came that is next in the topic: its own time, but never before the one in front of it.
    pub fn time(&self, appended: Timestamp) -> Timestamp {
        appended.max(self.lock().at)
    }

    /// Notes that an event was read; to be called after it was put where it is waited for.
    pub fn read(&self, at: Timestamp, position: Position) {
        let mut bound = self.lock();
        bound.at = bound.at.max(at);
        bound.position = Some(position);
    }

    /// Notes what the bus says of the end of the topic, if everything up to there was read.
    pub fn ended(&self, end: &End) {
        let mut bound = self.lock();
        if end.position <= bound.position {
            bound.end = bound.end.max(end.time);
        }
    }

    /// Notes that a subscriber has decided on the events up to here.
    pub fn decide(&self, subscriber: &str, position: Option<Position>) {
        let mut decided = self.lock_decided();
        match decided.get_mut(subscriber) {
            Some(known) => *known = position,
            None => drop(decided.insert(subscriber.to_owned(), position)),
        }
    }

    /// Whether anybody who joins has said up to where.
    pub fn is_begun(&self) -> bool {
        !self.lock_decided().is_empty()
    }

    /// Up to where all who join have decided.
    pub fn decided(&self) -> Option<Position> {
        self.lock_decided().values().min().copied().flatten()
    }

    pub(super) fn bound(&self) -> Bound {
        *self.lock()
    }

    fn lock_decided(&self) -> MutexGuard<'_, BTreeMap<String, Option<Position>>> {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn place(major: u64) -> Position {
        Position { major, minor: 0 }
    }

    #[test]
    fn an_event_waits_until_nothing_can_come_before_it() {
        let progress = Progress::new(Topic::new("t").unwrap());
        let comes_after = |second, position, topic| progress.bound().is_after((at(second), place(position), topic), 1);
        assert!(!comes_after(1, 1, 0), "nothing was read yet");
        progress.read(at(5), place(3));
        assert!(comes_after(4, 9, 0) && comes_after(5, 2, 0) && comes_after(5, 3, 0));
        assert!(!comes_after(5, 3, 2) && !comes_after(5, 4, 0) && !comes_after(6, 1, 0));
        // An end that was not read up to says nothing.
        progress.ended(&End { position: Some(place(4)), time: at(9) });
        assert!(!comes_after(6, 1, 0));
        progress.ended(&End { position: Some(place(3)), time: at(9) });
        assert!(comes_after(8, 99, 2) && !comes_after(9, 1, 0));
        assert_eq!(progress.bound().time(), at(9));
    }

    #[test]
    fn an_empty_topic_holds_up_nothing() {
        let progress = Progress::new(Topic::new("t").unwrap());
        progress.ended(&End { position: None, time: at(9) });
        assert!(progress.bound().is_after((at(8), place(1), 0), 1));
    }

    #[test]
    fn a_topic_is_decided_on_as_far_as_the_slowest_has_decided() {
        let progress = Progress::new(Topic::new("t").unwrap());
        assert!(!progress.is_begun());
        progress.decide("a", Some(place(7)));
        assert!(progress.is_begun());
        assert_eq!(progress.decided(), Some(place(7)));
        progress.decide("b", None);
        assert_eq!(progress.decided(), None);
        progress.decide("b", Some(place(5)));
        assert_eq!(progress.decided(), Some(place(5)));
    }

    #[test]
    fn time_in_a_topic_never_runs_back() {
        let progress = Progress::new(Topic::new("t").unwrap());
        progress.read(at(5), place(1));
        assert_eq!((progress.time(at(3)), progress.time(at(7))), (at(5), at(7)));
    }
}
