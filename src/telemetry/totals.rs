//! Sums over all series, for a person who looks at one line.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::handle::{Intake, Subscriber};
use super::label::{IntakeLabels, SubscriberLabels};

/// What happened since the process started, over all sources and subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events that the bus took.
    pub accepted: u64,
    /// Deliveries that a sink took.
    pub delivered: u64,
    /// Times that an event was put aside.
    pub parked: u64,
    /// Events that were given up and handed to the dead letters.
    pub dead: u64,
    /// Events taken from the bus and not settled yet.
    pub in_flight: u64,
    /// Events on the bus that are not settled yet, as last polled.
    pub waiting: u64,
}

/// The handles that were given out, one of each label set.
#[derive(Debug, Default)]
pub struct Tally {
    intakes: Mutex<HashMap<IntakeLabels, Intake>>,
    subscribers: Mutex<HashMap<SubscriberLabels, Subscriber>>,
}

impl Tally {
    pub fn intake(&self, labels: IntakeLabels, handle: &Intake) {
        let mut intakes = self.intakes.lock().unwrap_or_else(PoisonError::into_inner);
        intakes.insert(labels, handle.clone());
    }

    pub fn subscriber(&self, labels: SubscriberLabels, handle: &Subscriber) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.insert(labels, handle.clone());
    }

    pub fn totals(&self, in_flight: i64, waiting: i64) -> Totals {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let mut totals = Totals { in_flight: count(in_flight), waiting: count(waiting), ..Totals::default() };
        for intake in self.intakes.lock().unwrap_or_else(PoisonError::into_inner).values() {
            totals.accepted += intake.accepted.get();
        }
        for subscriber in self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).values() {
            totals.delivered += subscriber.delivered.get();
            totals.parked += subscriber.parked.get();
            totals.dead += subscriber.dead.get();
        }
        totals
    }
}
