//! From the topics of a bus to the destinations of its Triggers.
//!
//! [`Plan`] says what is read and where it goes; [`Router::join`] joins the consumer group on every
//! topic (from then on nothing is missed), [`Joined::run`] routes until it is asked to stop. A
//! receipt is acknowledged when every destination of its event is done: delivered, parked, given
//! to the dead letters; or when no input accepted it.
//!
//! Subscribers that join several events keep their own place in their topics, apart from the group: one reader a topic,
//! or a part of one, puts events before them, in order.
//!
//! The group's retry topic is read like any other, by the same router: a parked event goes straight
//! to the destination it waits for.

mod lag;
mod lane;
mod plan;
mod reading;
mod retries;
mod worker;

pub use plan::{Plan, Sinks, keys};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus, Group, InvalidName, Start, Store, Subscriber, Subscription, Topic};
use crate::router::decision::Observer;
use crate::router::delivery::Delivery;
use crate::router::join::{Engine, Means, Orphans, Setup, Starts};
use crate::router::route;
use crate::task::{self, Clock, Shutdown};
use crate::telemetry::Metrics;

use lag::Lag;
use reading::Reading;
use retries::Retries;
use worker::{Route, Worker};

/// The pause before what is remembered of joins is read again.
const RETRY: Duration = Duration::from_millis(200);

/// How a router runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The consumer group on every topic; it also names the retry topic.
    pub group: Group,
    /// Where the group starts on a topic that it reads for the first time.
    pub start: Start,
    /// Members of the group for each topic.
    pub parallelism: usize,
    /// Events that a member has taken and not settled yet, at most. A sink that hangs holds as many
    /// as its concurrency; this leaves room for several of them.
    pub max_in_flight: usize,
    /// As above, in bytes of events; one batch may exceed it.
    pub max_bytes_in_flight: usize,
    /// How long events in flight may take to finish after the stop is asked for, unless the request
    /// to stop says it. What is left is handed out again after the restart.
    pub grace: Duration,
}

impl Settings {
    /// Two members a topic, 1024 events or 16 MiB in flight each, 20 seconds of grace (ten less
    /// than Kubernetes grants a pod), from the beginning of each topic.
    pub fn new(group: Group) -> Self {
        Self {
            group,
            start: Start::Earliest,
            parallelism: 2,
            max_in_flight: 1024,
            max_bytes_in_flight: 16 << 20,
            grace: Duration::from_secs(20),
        }
    }
}

/// The retry topic of a group.
///
/// # Errors
/// When the group's name leaves no room for the suffix.
pub fn retry_topic(group: &Group) -> Result<Topic, InvalidName> {
    Topic::new(&route::retry_topic(group.as_str()))
}

/// Routes the events of one bus.
pub struct Router {
    plan: Plan,
    settings: Settings,
    metrics: Arc<Metrics>,
    delivery: Arc<Delivery>,
    store: Option<Arc<dyn Store>>,
}

impl Router {
    /// # Errors
    /// When the group's name is too long to name a retry topic as well.
    pub fn new(
        plan: Plan,
        settings: Settings,
        bus: Arc<dyn Bus>,
        metrics: Arc<Metrics>,
        observer: Arc<dyn Observer>,
        clock: Clock,
        shutdown: &Shutdown,
    ) -> Result<Self, Fault> {
        let retry_topic = retry_topic(&settings.group)
            .map_err(|error| Fault::new(FaultKind::Rejected, "name the retry topic", error.to_string()))?;
        let delivery = Delivery { bus, retry_topic, clock, observer, shutdown: shutdown.child() };
        Ok(Self { plan, settings, metrics, delivery: Arc::new(delivery), store: None })
    }

    /// Where subscribers keep what they wait for that join several events.
    #[must_use]
    pub fn with_store(self, store: Arc<dyn Store>) -> Self {
        Self { store: Some(store), ..self }
    }

    /// Joins the consumer group on every topic. What is published from now on is kept for it.
    ///
    /// # Errors
    /// When the bus refuses one of the subscriptions, or a subscriber joins events and there is no store for it.
    pub async fn join(self) -> Result<Joined, Fault> {
        let Self { plan, settings, metrics, delivery, store } = self;
        let Plan { lanes, readings, destinations, joins } = plan;
        let mut joined = Joined {
            workers: Vec::new(),
            joins: Joins::default(),
            orphans: None,
            topics: Vec::new(),
            settings,
            metrics,
            delivery,
        };
        // Before the group joins: whether it knew a topic says where joins begin on it.
        joined.wire(joins, readings, store).await?;
        for lane in lanes {
            let topic = lane.topic.clone();
            joined.subscribe(&topic, joined.settings.start, Route::Lane(Arc::new(lane))).await?;
        }
        if joined.delivery.bus.capability().delayed {
            let retries = Retries { destinations, metrics: Arc::clone(&joined.metrics) };
            let topic = joined.delivery.retry_topic.clone();
            // What an earlier run parked must be found, whether or not it joined first.
            joined.subscribe(&topic, Start::Earliest, Route::Retries(Arc::new(retries))).await?;
        }
        Ok(joined)
    }
}

/// A router that has joined its groups.
pub struct Joined {
    workers: Vec<Worker>,
    joins: Joins,
    /// What is left of subscribers that did, where there is a store for it.
    orphans: Option<Orphans>,
    topics: Vec<Topic>,
    settings: Settings,
    metrics: Arc<Metrics>,
    delivery: Arc<Delivery>,
}

impl Joined {
    async fn wire(
        &mut self,
        mut setups: Vec<Setup>,
        readings: Vec<Reading>,
        store: Option<Arc<dyn Store>>,
    ) -> Result<(), Fault> {
        let Some(store) = store else {
            return setups.first().map_or(Ok(()), |first| Err(unjoinable(&first.id)));
        };
        let (bus, group, delivery) = (self.delivery.bus.clone(), self.settings.group.clone(), self.delivery.clone());
        let means = Means { store, bus, group, delivery };
        let known = setups.iter().map(|setup| setup.id.clone());
        self.orphans = Some(Orphans::new(means.clone(), known, self.metrics.clone()));
        if let Some(first) = setups.first().map(|first| first.id.clone()) {
            let refused = |fault: Fault| match fault.kind() {
                FaultKind::Unsupported => unjoinable(&first).with_source(fault),
                _ => fault,
            };
            let readings = Self::spread(readings, &mut setups, &means).await.map_err(refused)?;
            let starts = Self::starts(&setups, &means, self.settings.start).await.map_err(refused)?;
            self.joins = Joins { setups, readings, starts, means: Some(means) };
        }
        Ok(())
    }

    /// A topic of several parts is read by as many readers.
    async fn spread(readings: Vec<Reading>, setups: &mut [Setup], means: &Means) -> Result<Vec<Reading>, Fault> {
        let mut spread = Vec::new();
        for reading in readings {
            let parts = loop {
                match means.bus.parts(reading.topic()).await {
                    Err(fault) => wait_out(means, fault).await?,
                    Ok(parts) => break parts,
                }
            };
            spread.extend((1..parts).map(|number| reading.of_part(number, setups)));
            spread.push(reading);
        }
        Ok(spread)
    }

    async fn starts(setups: &[Setup], means: &Means, start: Start) -> Result<Starts, Fault> {
        loop {
            match Starts::find(setups, means, start).await {
                Err(fault) => wait_out(means, fault).await?,
                Ok(starts) => return Ok(starts),
            }
        }
    }

    async fn subscribe(&mut self, topic: &Topic, start: Start, route: Route) -> Result<(), Fault> {
        for _ in 0..self.settings.parallelism.max(1) {
            let subscription = Subscription {
                topic: topic.clone(),
                group: self.settings.group.clone(),
                start,
                max_in_flight: self.settings.max_in_flight,
            };
            let member: Box<dyn Subscriber> = self.delivery.bus.subscribe(subscription).await?;
            self.workers.push(Worker {
                route: route.clone(),
                topic: topic.clone(),
                member,
                delivery: Arc::clone(&self.delivery),
                metrics: Arc::clone(&self.metrics),
                settings: self.settings.clone(),
            });
        }
        self.topics.push(topic.clone());
        Ok(())
    }

    /// Routes until the stop is asked for or the bus is closed, then finishes what is in flight
    /// within the grace period.
    ///
    /// # Errors
    /// When a subscription is over for good.
    pub async fn run(self) -> Result<(), Fault> {
        let mut workers = task::Group::new(&self.delivery.shutdown);
        let stop = workers.shutdown().clone();
        let joined = self.joins.readings.iter().map(|reading| reading.progress.clone()).collect();
        let lag =
            Lag { bus: self.delivery.bus.clone(), group: self.settings.group.clone(), topics: self.topics, joined };
        let watch = lag.watch(&self.metrics, &stop);
        for worker in self.workers {
            workers.spawn(worker.run(stop.clone()));
        }
        workers.spawn(self.joins.run(self.settings.clone(), self.metrics.clone(), stop.clone()));
        if let Some(orphans) = self.orphans {
            workers.spawn(orphans.run(stop.clone()));
        }
        let routed = async {
            let result = workers.join().await;
            // Ends the watch also when the workers ended by themselves.
            stop.request();
            result
        };
        futures_util::future::join(routed, watch).await.0
    }
}

/// The subscribers that join events, and what is read for them.
#[derive(Default)]
struct Joins {
    setups: Vec<Setup>,
    readings: Vec<Reading>,
    starts: Starts,
    /// None when there are no such subscribers.
    means: Option<Means>,
}

impl Joins {
    /// Becomes the owner of what they remember, then reads, decides and delivers until the stop is asked for.
    async fn run(self, settings: Settings, metrics: Arc<Metrics>, shutdown: Shutdown) -> Result<(), Fault> {
        let Self { setups, readings, starts, means } = self;
        let Some(means) = means else { return Ok(()) };
        let mut tasks = task::Group::new(&shutdown);
        let mut places = BTreeMap::new();
        for setup in setups {
            let Some(engine) = open(&setup, &means, &starts, &shutdown).await? else { return Ok(()) };
            // A topic is read from where the first of them needs it.
            for (topic, place) in engine.places() {
                let first = places.entry(topic.clone()).or_insert(place);
                *first = (*first).min(place);
            }
            let stop = tasks.shutdown().clone();
            tasks.spawn(engine.run(stop));
        }
        for reading in readings {
            let after = places.get(&reading.progress.topic).copied().flatten();
            let (delivery, stop) = (means.delivery.clone(), tasks.shutdown().clone());
            tasks.spawn(reading.run(after, delivery, settings.clone(), metrics.clone(), stop));
        }
        tasks.join().await
    }
}

/// An outage is waited out before joins begin.
async fn wait_out(means: &Means, fault: Fault) -> Result<(), Fault> {
    if !fault.is_retryable() || means.delivery.shutdown.is_requested() {
        return Err(fault);
    }
    tracing::warn!(fault = fault.chain(), "nobody can tell yet where joins begin");
    task::sleep(RETRY).await;
    Ok(())
}

/// Until the store answers; nothing when the stop is asked for meanwhile.
async fn open(setup: &Setup, means: &Means, starts: &Starts, shutdown: &Shutdown) -> Result<Option<Engine>, Fault> {
    while !shutdown.is_requested() {
        match Engine::open(setup.clone(), means.clone(), starts).await {
            Err(fault) if fault.is_retryable() => {
                tracing::warn!(subscriber = setup.id, fault = fault.chain(), "cannot read yet what was joined");
                tokio::select! {
                    () = shutdown.requested() => {}
                    () = task::sleep(RETRY) => {}
                }
            }
            opened => return opened.map(Some),
        }
    }
    Ok(None)
}

fn unjoinable(subscriber: &str) -> Fault {
    let message = "its condition joins several events, which this bus cannot do";
    Fault::new(FaultKind::Unsupported, "wire a subscriber", message).with_context("subscriber", subscriber)
}

#[cfg(test)]
mod tests;
