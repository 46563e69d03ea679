//! Handles that count without a look-up.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::DeliverySeconds;
use super::label::{
    FilterLabels, InputLabels, InputOutcome, IntakeLabels, IntakeOutcome, SubscriberEvents, SubscriberLabels,
    SubscriberOutcome,
};

/// What one event of an `EventSource` counts.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Published.
    pub accepted: Counter,
    /// Already on the bus.
    pub duplicate: Counter,
    /// Not published; handed back to the origin.
    pub refused: Counter,
    /// Unreadable or too large; handed to the dead letters.
    pub poison: Counter,
}

impl Intake {
    pub(super) fn new(family: &Family<IntakeLabels, Counter>, labels: &IntakeLabels) -> Self {
        let counter = |outcome| family.get_or_create_owned(&labels.with(outcome));
        Self {
            accepted: counter(IntakeOutcome::Accepted),
            duplicate: counter(IntakeOutcome::Duplicate),
            refused: counter(IntakeOutcome::Refused),
            poison: counter(IntakeOutcome::Poison),
        }
    }
}

/// What one subscriber counts.
#[derive(Clone, Debug)]
pub struct Subscriber {
    pub matched: Counter,
    pub waiting: Counter,
    pub blocked: Counter,
    /// Events that lack what they would be joined by.
    pub keyless: Counter,
    /// Keys of which everything was forgotten, because there were too many.
    pub evicted: Counter,
    pub delivered: Counter,
    pub replied: Counter,
    pub failed: Counter,
    pub retried: Counter,
    pub held: Counter,
    pub parked: Counter,
    pub dead: Counter,
    pub dropped: Counter,
    /// How many of its targets have an open circuit breaker.
    pub open_breakers: Gauge,
    seconds: Histogram,
}

impl Subscriber {
    pub(super) fn new(
        family: &Family<SubscriberEvents, Counter>,
        seconds: &DeliverySeconds,
        open_breakers: &Family<SubscriberLabels, Gauge>,
        labels: &SubscriberLabels,
    ) -> Self {
        let counter = |outcome| {
            let SubscriberLabels { trigger, subscriber } = labels.clone();
            family.get_or_create_owned(&SubscriberEvents { trigger, subscriber, outcome })
        };
        Self {
            matched: counter(SubscriberOutcome::Matched),
            waiting: counter(SubscriberOutcome::Waiting),
            blocked: counter(SubscriberOutcome::Blocked),
            keyless: counter(SubscriberOutcome::Keyless),
            evicted: counter(SubscriberOutcome::Evicted),
            delivered: counter(SubscriberOutcome::Delivered),
            replied: counter(SubscriberOutcome::Replied),
            failed: counter(SubscriberOutcome::Failed),
            retried: counter(SubscriberOutcome::Retried),
            held: counter(SubscriberOutcome::Held),
            parked: counter(SubscriberOutcome::Parked),
            dead: counter(SubscriberOutcome::Dead),
            dropped: counter(SubscriberOutcome::Dropped),
            open_breakers: open_breakers.get_or_create_owned(labels),
            seconds: seconds.get_or_create_owned(labels),
        }
    }

    /// The handle of another target of the same subscriber: an event that fires the subscriber is
    /// counted as matched once, by its first target; everything else is counted for each.
    #[must_use]
    pub fn of_another_target(self) -> Self {
        Self { matched: Counter::default(), ..self }
    }

    /// Notes how long one attempt took, whatever came of it.
    pub fn took(&self, duration: Duration) {
        self.seconds.observe(duration.as_secs_f64());
    }
}

/// How many events arrived from one topic.
#[derive(Clone, Debug, Default)]
pub struct Topic(Counter);

impl Topic {
    pub fn received(&self, events: u64) {
        self.0.inc_by(events);
    }
}

/// What one input counts. What it filters out follows from its topic's count.
#[derive(Clone, Debug)]
pub struct Input {
    pub matched: Counter,
    errors: Family<FilterLabels, Counter>,
    labels: FilterLabels,
}

impl Input {
    pub(super) fn new(
        inputs: &Family<InputLabels, Counter>,
        errors: &Family<FilterLabels, Counter>,
        trigger: &str,
        input: &str,
        topic: &Topic,
    ) -> (Self, Remainder) {
        let counter = |outcome| {
            inputs.get_or_create_owned(&InputLabels { trigger: trigger.to_owned(), input: input.to_owned(), outcome })
        };
        let matched = counter(InputOutcome::Matched);
        let remainder = Remainder {
            arrived: topic.0.clone(),
            arrived_before: topic.0.get(),
            matched_before: matched.get(),
            received_before: counter(InputOutcome::Received).get(),
            filtered_before: counter(InputOutcome::Filtered).get(),
            matched: matched.clone(),
            received: counter(InputOutcome::Received),
            filtered: counter(InputOutcome::Filtered),
        };
        let labels = FilterLabels { trigger: trigger.to_owned(), input: input.to_owned(), cause: String::new() };
        (Self { matched, errors: errors.clone(), labels }, remainder)
    }

    /// The handle of a second reader of the same topic, which counts nothing.
    #[must_use]
    pub fn of_another_reader(&self) -> Self {
        Self { matched: Counter::default(), errors: Family::default(), labels: self.labels.clone() }
    }

    /// Counts a filter that could not be decided; `cause` is a word from a closed list.
    pub fn error(&self, cause: &str) {
        let labels = FilterLabels { cause: cause.to_owned(), ..self.labels.clone() };
        self.errors.get_or_create(&labels).inc();
    }
}

/// Works out what an input received and filtered out since it began to read its topic.
#[derive(Debug)]
pub(super) struct Remainder {
    arrived: Counter,
    arrived_before: u64,
    matched_before: u64,
    received_before: u64,
    filtered_before: u64,
    matched: Counter,
    received: Counter,
    filtered: Counter,
}

impl Remainder {
    pub(super) fn refresh(&self) {
        // Matched first: an event is counted as arrived before it can match.
        let matched = self.matched.get().saturating_sub(self.matched_before);
        let arrived = self.arrived.get().saturating_sub(self.arrived_before);
        raise(&self.received, self.received_before + arrived);
        raise(&self.filtered, self.filtered_before + arrived.saturating_sub(matched));
    }
}

/// Counters only grow: an event between arriving and matching must not make one shrink.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

/// Events taken and not settled.
#[derive(Clone, Debug)]
pub struct InFlight(Gauge);

impl InFlight {
    pub(super) fn new(gauge: Gauge) -> Self {
        Self(gauge)
    }

    /// Counts `events` as in flight until the guard is dropped.
    #[must_use = "they are in flight only as long as the guard lives"]
    pub fn enter(&self, events: i64) -> Flying {
        self.0.inc_by(events);
        Flying { gauge: self.0.clone(), events }
    }
}

/// Keeps events counted as in flight.
#[derive(Debug)]
pub struct Flying {
    gauge: Gauge,
    events: i64,
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.gauge.dec_by(self.events);
    }
}
