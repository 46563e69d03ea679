//! What is counted and measured, and its names.
//!
//! [`Metrics`] holds every metric family of the process and writes them in the `OpenMetrics` text
//! format that Prometheus scrapes. Whoever counts asks once for its handles ([`Intake`], [`Input`],
//! [`Subscriber`], [`Topic`]): counting through a handle is an atomic addition, without a look-up.
//! Labels are words from documents (names, outcomes), never anything from an event, so the number
//! of series is bounded by the configuration.
//!
//! Imports no other room.

mod component;
mod handle;
mod label;
mod operator;
mod totals;

pub use component::Component;
pub use operator::Operator;
pub use totals::Totals;

pub use handle::{Flying, InFlight, Input, Intake, Subscriber, Topic};

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use label::{BusLabels, FilterLabels, InputLabels, IntakeLabels, LagLabels, SubscriberLabels};

/// The content type of [`Metrics::encode`]'s answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From half a millisecond (a function on the same node) to two minutes (beyond any sane timeout).
const DELIVERY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

type DeliverySeconds = Family<SubscriberLabels, Histogram, fn() -> Histogram>;

/// All metric families of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    intake: Family<IntakeLabels, Counter>,
    subscribers: Family<label::SubscriberEvents, Counter>,
    inputs: Family<InputLabels, Counter>,
    filter_errors: Family<FilterLabels, Counter>,
    delivery_seconds: DeliverySeconds,
    open_breakers: Family<SubscriberLabels, Gauge>,
    in_flight: Gauge,
    lag: Family<LagLabels, Gauge>,
    lost: Family<BusLabels, Counter>,
    last_progress: Gauge<f64, AtomicU64>,
    plan_refused: Gauge,
    components: component::Families,
    /// Events that wait on the bus for this process, as last polled.
    backlog: AtomicI64,
    /// What is filtered out is not counted event by event and input by input: it is what was
    /// received less what was accepted, worked out when it is asked for.
    filtered: Mutex<Vec<handle::Remainder>>,
    /// What the totals are made of.
    tally: totals::Tally,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        fn histogram() -> Histogram {
            Histogram::new(DELIVERY_BUCKETS)
        }
        let mut metrics = Self {
            registry: Registry::with_prefix("penstock"),
            intake: Family::default(),
            subscribers: Family::default(),
            inputs: Family::default(),
            filter_errors: Family::default(),
            delivery_seconds: DeliverySeconds::new_with_constructor(histogram),
            open_breakers: Family::default(),
            in_flight: Gauge::default(),
            lag: Family::default(),
            lost: Family::default(),
            last_progress: Gauge::default(),
            plan_refused: Gauge::default(),
            components: component::Families::default(),
            backlog: AtomicI64::new(0),
            filtered: Mutex::default(),
            tally: totals::Tally::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("intake_events", "Events taken from sources, by outcome", self.intake.clone());
        registry.register("router_events", "Events of each subscriber, by outcome", self.subscribers.clone());
        registry.register("input_events", "Events seen by each input, by outcome of its filter", self.inputs.clone());
        registry.register("filter_errors", "Filters that could not be decided, by cause", self.filter_errors.clone());
        registry.register_with_unit(
            "delivery",
            "How long one delivery attempt took",
            Unit::Seconds,
            self.delivery_seconds.clone(),
        );
        let open = self.open_breakers.clone();
        registry.register("router_open_breakers", "Targets of each subscriber whose circuit breaker is open", open);
        registry.register("events_in_flight", "Events taken from the bus and not settled yet", self.in_flight.clone());
        registry.register("consumer_lag", "Events on the bus that the group has not settled yet", self.lag.clone());
        registry.register("bus_lost_events", "Events deleted before every group had settled them", self.lost.clone());
        registry.register("plan_refused", "1 while the newest plan is refused", self.plan_refused.clone());
        self.components.register(registry);
        registry.register_with_unit(
            "last_progress_timestamp",
            "When an event was last taken or settled, since the Unix epoch",
            Unit::Seconds,
            self.last_progress.clone(),
        );
    }

    /// Everything, in the `OpenMetrics` text format.
    pub fn encode(&self) -> String {
        for remainder in self.filtered.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            remainder.refresh();
        }
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a string can always be written to");
        out
    }

    /// The counters of one event of an `EventSource`.
    pub fn intake(&self, namespace: &str, source: &str, event: &str) -> Intake {
        let labels = IntakeLabels::new(namespace, source, event);
        let intake = Intake::new(&self.intake, &labels);
        self.tally.intake(labels, &intake);
        intake
    }

    /// The counters of one subscriber of the Trigger `trigger` (`namespace/name`).
    pub fn subscriber(&self, trigger: &str, subscriber: &str) -> Subscriber {
        let labels = SubscriberLabels { trigger: trigger.to_owned(), subscriber: subscriber.to_owned() };
        let handle = Subscriber::new(&self.subscribers, &self.delivery_seconds, &self.open_breakers, &labels);
        self.tally.subscriber(labels, &handle);
        handle
    }

    /// The sums over all sources and subscribers.
    pub fn totals(&self) -> Totals {
        let waiting = self.backlog.load(std::sync::atomic::Ordering::Relaxed);
        self.tally.totals(self.in_flight.get(), waiting)
    }

    /// The count of what arrives from one topic, for the inputs that read it.
    pub fn topic(&self) -> Topic {
        Topic::default()
    }

    /// The counters of the input `input` of the Trigger `trigger`, which reads `topic`.
    pub fn input(&self, trigger: &str, input: &str, topic: &Topic) -> Input {
        let (input, remainder) = Input::new(&self.inputs, &self.filter_errors, trigger, input, topic);
        self.filtered.lock().unwrap_or_else(PoisonError::into_inner).push(remainder);
        input
    }

    /// The counters of one Component that is served to daprd.
    pub fn component(&self, name: &str) -> Component {
        self.components.component(name)
    }

    /// The gauge of events in flight.
    pub fn in_flight(&self) -> InFlight {
        InFlight::new(self.in_flight.clone())
    }

    /// Notes how many events the group has not settled yet.
    pub fn lag(&self, topic: &str, group: &str, events: u64) {
        let labels = LagLabels { topic: topic.to_owned(), group: group.to_owned() };
        self.lag.get_or_create(&labels).set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Notes how many events the bus has lost since it was opened (its own count, which only grows).
    pub fn lost(&self, bus: &str, events: u64) {
        let counter = self.lost.get_or_create_owned(&BusLabels { bus: bus.to_owned() });
        counter.inner().store(events, std::sync::atomic::Ordering::Relaxed);
    }

    /// Notes how many events wait on all topics together.
    pub fn backlog(&self, events: u64) {
        self.backlog.store(i64::try_from(events).unwrap_or(i64::MAX), std::sync::atomic::Ordering::Relaxed);
    }

    /// Notes that an event was taken or settled at `now` (seconds since the Unix epoch).
    pub fn progressed(&self, now: f64) {
        self.last_progress.set(now);
    }

    /// Notes whether the newest plan is refused, so that an older one, or none, runs.
    pub fn plan_refused(&self, refused: bool) {
        self.plan_refused.set(i64::from(refused));
    }

    /// Whether there is work and nothing has moved for longer than `limit` before `now` (seconds
    /// since the Unix epoch): what liveness is judged by. `limit` must exceed the longest timeout
    /// of a delivery, and the longest pause after which the bus hands an event out again (5 minutes).
    pub fn is_stalled(&self, now: f64, limit: Duration) -> bool {
        let work = self.in_flight.get() > 0 || self.backlog.load(std::sync::atomic::Ordering::Relaxed) > 0;
        work && now - self.last_progress.get() > limit.as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
