//! A subscriber's target, wired.

use std::sync::Arc;

use async_trait::async_trait;

use super::breaker::Breaker;
use super::gate::Gate;
use super::pace::Pace;
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Accepted, Sink};
use crate::router::body::Body;
use crate::router::route::Policy;
use crate::telemetry;

/// One sink of one subscriber. A subscriber with a sink and a topic is two destinations, each with
/// its own attempts, so that what one has taken is not sent to it again for the other's sake.
pub struct Destination {
    /// The subscriber, as `namespace/trigger/subscriber`.
    pub id: String,
    /// The Trigger, as `namespace/name`.
    pub trigger: String,
    /// The subscriber's name within its Trigger.
    pub name: String,
    /// What parked events find it by; the same after a restart and a change of the address.
    pub key: String,
    pub sink: Arc<dyn Sink>,
    /// Where given up events go; each of them gets the event. Empty: the topic that is generated
    /// for the event's own.
    pub dead_letters: Vec<Arc<dyn Sink>>,
    pub policy: Policy,
    /// What builds the body of its events.
    pub body: Option<Body>,
    pub metrics: telemetry::Subscriber,
    pub(super) gate: Gate,
    pub(super) pace: Option<Pace>,
    pub(super) breaker: Option<Breaker>,
    /// The way to the dead letters, which can hang like any sink.
    pub(super) dead_letter_gate: Gate,
    pub(super) dead_letter_pace: Option<Pace>,
}

impl Destination {
    /// A destination of the subscriber `id` (`namespace/trigger/subscriber`); `part` tells apart
    /// its destinations.
    pub fn new(
        id: &str,
        part: &str,
        sink: Arc<dyn Sink>,
        dead_letters: Vec<Arc<dyn Sink>>,
        policy: Policy,
        metrics: &telemetry::Metrics,
    ) -> Self {
        let (trigger, name) = id.rsplit_once('/').unwrap_or(("", id));
        Self {
            metrics: metrics.subscriber(trigger, name),
            trigger: trigger.to_owned(),
            name: name.to_owned(),
            key: format!("{id}#{part}"),
            id: id.to_owned(),
            sink,
            dead_letters,
            gate: Gate::new(policy.concurrency),
            pace: policy.rate.map(Pace::new),
            breaker: policy.breaker.map(Breaker::new),
            dead_letter_gate: Gate::new(policy.concurrency),
            dead_letter_pace: policy.rate.map(Pace::new),
            policy,
            body: None,
        }
    }

    /// Stands in for the destination with this `key`, which does not exist any more.
    pub fn gone(key: &str, metrics: &telemetry::Metrics) -> Self {
        let (id, part) = key.rsplit_once('#').unwrap_or((key, ""));
        Self::new(id, part, Arc::new(Nowhere), Vec::new(), Policy::default(), metrics)
    }
}

/// What is not there any more is not open.
impl Drop for Destination {
    fn drop(&mut self) {
        if self.breaker.as_ref().is_some_and(Breaker::is_open) {
            self.metrics.open_breakers.dec();
        }
    }
}

/// The sink of a destination that is gone.
struct Nowhere;

#[async_trait]
impl Sink for Nowhere {
    fn address(&self) -> &'static str {
        ""
    }

    async fn deliver(&self, _event: &Event) -> Result<Accepted, Fault> {
        Err(Fault::new(FaultKind::NotFound, "deliver", "the subscriber does not exist any more"))
    }
}
