//! The Components of one kind that daprd initialised, by name.
//!
//! Several daprds may have a Component of one name on one socket, each with a consumer group of its
//! own: two apps on one machine. They share what was made, and are told apart by their process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex as StdMutex, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, watch};
use tonic::transport::server::UdsConnectInfo;
use tonic::{Code, Request, Status};

use super::{Kind, Made, expiry};
use crate::fault::{Fault, FaultKind};
use crate::flow::{
    Bus, Group as ConsumerGroup, Read, Reader, Receipt, Received, Store, Subscriber, Subscription, Topic,
};
use crate::frame::{Ask, Reads};
use crate::task::{Clock, Group, Shutdown};
use crate::telemetry::{self, Metrics};

/// The call metadata that carries a Component's name.
const INSTANCE: &str = "x-component-instance";

/// The consumer group: daprd always sets it, to the app's id unless the Component says otherwise.
const CONSUMER_ID: &str = "consumerID";

/// What daprd reads of a Component's metadata itself: scopes of pub/sub; keys, actors, outbox and
/// encryption of state stores.
const DAPRS_OWN: [&str; 14] = [
    CONSUMER_ID,
    "publishingScopes",
    "subscriptionScopes",
    "allowedTopics",
    "protectedTopics",
    "keyPrefix",
    "actorStateStore",
    "primaryEncryptionKey",
    "secondaryEncryptionKey",
    "outboxPublishPubsub",
    "outboxPublishTopic",
    "outboxPubsub",
    "outboxDiscardWhenMissingState",
    "outboxKeyPrefix",
];

/// Events that one poll of a source's queue takes for a frame: the others want some, too.
const MAX_POLL: usize = 512;

/// daprds that are remembered per Component. Each restart is another; the oldest is forgotten.
const MAX_CALLERS: usize = 64;

/// Names that are remembered so as to be told once. More than a pod will ever have.
const MAX_MISSED: usize = 64;

/// The Components of one kind.
pub struct Instances {
    kind: Kind,
    clock: Clock,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    known: RwLock<HashMap<String, Arc<Instance>>>,
    /// One initialisation at a time.
    making: Mutex<()>,
    /// Names that somebody asked for and nobody initialised, each told once in the log.
    missed: StdMutex<HashSet<String>>,
}

impl Instances {
    pub fn new(kind: Kind, clock: Clock, metrics: Arc<Metrics>, shutdown: Shutdown) -> Self {
        let (known, making, missed) = (RwLock::default(), Mutex::default(), StdMutex::default());
        Self { kind, clock, metrics, shutdown, known, making, missed }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Makes the Component that the call is for, unless it is here already and has not changed: a
    /// daprd that was restarted initialises what another one had before.
    pub(super) async fn init<T>(
        &self,
        request: &Request<T>,
        properties: BTreeMap<String, String>,
    ) -> Result<(), Status> {
        let _one = self.making.lock().await;
        let name = name(request);
        let (own, metadata): (BTreeMap<_, _>, _) = properties.into_iter().partition(|(key, _)| is_daprs(key));
        let consumer = own.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(CONSUMER_ID));
        let consumer = consumer.map_or_else(|| name.to_owned(), |(_, id)| id);
        let caller = Arc::new(Caller { process: process(request), consumer, paused: watch::Sender::new(false) });
        let old = self.get(name);
        if let Some(old) = old.as_ref().filter(|old| old.metadata == metadata) {
            old.remember(caller);
            tracing::info!(component = name, kind = self.kind.name, "initialised again");
            return Ok(());
        }
        if let Some(old) = old {
            old.stop().await;
        }
        let counts = self.metrics.component(name);
        let made = self.kind.factory.make(name, &metadata).await.map_err(|fault| {
            counts.errors.inc();
            tracing::error!(component = name, kind = self.kind.name, fault = fault.chain(), "cannot be initialised");
            super::status::status(&fault)
        })?;
        let instance = Instance::new(name, metadata, made, counts, &self.shutdown);
        instance.remember(caller);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::new(instance));
        tracing::info!(component = name, kind = self.kind.name, "initialised");
        Ok(())
    }

    /// The Component that the call is for.
    pub(super) fn find<T>(&self, request: &Request<T>) -> Result<Arc<Instance>, Status> {
        let name = name(request);
        self.get(name).ok_or_else(|| {
            let message = format!(
                "Component {name:?} was not initialised in this process, which started after its daprd: restart daprd"
            );
            let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
            if missed.len() < MAX_MISSED && missed.insert(name.to_owned()) {
                tracing::error!(component = name, kind = self.kind.name, "{message}");
            }
            Status::new(Code::FailedPrecondition, message)
        })
    }

    fn get(&self, name: &str) -> Option<Arc<Instance>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Stops what was made.
    pub(super) async fn stop(&self) {
        let all = std::mem::take(&mut *self.known.write().unwrap_or_else(PoisonError::into_inner));
        for instance in all.into_values() {
            instance.stop().await;
        }
    }
}

fn name<T>(request: &Request<T>) -> &str {
    request.metadata().get(INSTANCE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The process at the other end of the socket, as far as it can be seen from this container.
fn process<T>(request: &Request<T>) -> Option<i32> {
    request.extensions().get::<UdsConnectInfo>()?.peer_cred?.pid()
}

fn is_daprs(key: &str) -> bool {
    DAPRS_OWN.iter().any(|own| own.eq_ignore_ascii_case(key))
}

/// One Component.
pub(super) struct Instance {
    name: String,
    metadata: BTreeMap<String, String>,
    origin: Origin,
    counts: telemetry::Component,
    /// The source, or what keeps the store swept.
    running: Mutex<Group>,
    /// The daprds that initialised it, the latest last.
    callers: StdMutex<Vec<Arc<Caller>>>,
}

/// One daprd, as it initialised the Component.
pub(super) struct Caller {
    process: Option<i32>,
    /// Its consumer group, unless a subscription names another.
    consumer: String,
    /// Whether messages to it are held back.
    pub(super) paused: watch::Sender<bool>,
}

enum Origin {
    Bus {
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
    },
    Source {
        /// Taken in turns by the streams that are open.
        events: Arc<Mutex<mpsc::Receiver<Received>>>,
    },
}

impl Instance {
    fn new(
        name: &str,
        metadata: BTreeMap<String, String>,
        made: Made,
        counts: telemetry::Component,
        shutdown: &Shutdown,
    ) -> Self {
        let mut running = Group::new(shutdown);
        let origin = match made {
            Made::Bus { bus, store } => Origin::Bus { bus, store },
            Made::Source { source, events } => {
                let (stop, name) = (running.shutdown().clone(), name.to_owned());
                running.spawn(async move {
                    let ended = source.run(stop).await;
                    if let Err(fault) = &ended {
                        tracing::error!(component = name, fault = fault.chain(), "the source ended");
                    }
                    ended
                });
                Origin::Source { events: Arc::new(Mutex::new(events)) }
            }
        };
        let (name, running) = (name.to_owned(), Mutex::new(running));
        Self { name, metadata, origin, counts, running, callers: StdMutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn counts(&self) -> &telemetry::Component {
        &self.counts
    }

    fn remember(&self, caller: Arc<Caller>) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.retain(|known| known.process != caller.process);
        callers.push(caller);
        if callers.len() > MAX_CALLERS {
            callers.remove(0);
        }
    }

    /// The daprd that makes the call. Where processes cannot be told apart, there is but one.
    pub(super) fn caller<T>(&self, request: &Request<T>) -> Result<Arc<Caller>, Status> {
        let process = process(request);
        let callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = callers.iter().find(|known| known.process == process).or(callers.last());
        caller.cloned().ok_or_else(|| Status::internal("a Component without a daprd"))
    }

    /// The bus.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` for a source.
    pub(super) fn bus(&self) -> Result<&Arc<dyn Bus>, Status> {
        match &self.origin {
            Origin::Bus { bus, .. } => Ok(bus),
            Origin::Source { .. } => Err(Status::unimplemented(format!(
                "Component {:?} is a source: it can only be subscribed to",
                self.name
            ))),
        }
    }

    /// The store.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` for a source.
    pub(super) fn store(&self) -> Result<&Arc<dyn Store>, Status> {
        match &self.origin {
            Origin::Bus { store, .. } => Ok(store),
            Origin::Source { .. } => {
                Err(Status::unimplemented(format!("Component {:?} is a source: it keeps no state", self.name)))
            }
        }
    }

    /// Joins a topic of the bus, or those who share a source's events, whatever the topic.
    pub(super) async fn subscribe(
        &self,
        topic: Topic,
        ask: &Ask,
        caller: &Caller,
    ) -> Result<Box<dyn Subscriber>, Fault> {
        match &self.origin {
            Origin::Source { .. } if ask.reads != Reads::InGroup => {
                Err(Fault::new(FaultKind::Unsupported, "read a topic", "a source keeps nothing that could be read"))
            }
            Origin::Source { events } => {
                let most = if ask.frames.is_some() { MAX_POLL } else { ask.in_flight };
                Ok(Box::new(Shared { events: events.clone(), most }))
            }
            Origin::Bus { bus, .. } => {
                if let Reads::After(after) = ask.reads {
                    return Ok(Box::new(Apart(bus.read(&topic, after).await?)));
                }
                let group = ask.group.as_deref().unwrap_or(&caller.consumer);
                let group = ConsumerGroup::new(group)
                    .map_err(|error| Fault::new(FaultKind::Rejected, "subscribe", error.to_string()))?;
                let events = ask.frames.map_or(1, |limits| limits.events);
                let max_in_flight = ask.in_flight.saturating_mul(events);
                bus.subscribe(Subscription { topic, group, start: ask.start, max_in_flight }).await
            }
        }
    }

    /// Deletes what is over in the store from now on.
    pub(super) async fn keep_swept(&self, clock: &Clock) {
        let Origin::Bus { store, .. } = &self.origin else { return };
        let mut running = self.running.lock().await;
        if running.is_empty() {
            let stop = running.shutdown().clone();
            running.spawn(expiry::run(store.clone(), clock.clone(), stop));
        }
    }

    async fn stop(&self) {
        let group = std::mem::take(&mut *self.running.lock().await);
        group.shutdown().request();
        // It was logged where it happened.
        group.join().await.unwrap_or_default();
    }
}

/// A reader of a topic, as a stream wants it.
struct Apart(Box<dyn Reader>);

#[async_trait]
impl Subscriber for Apart {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        let read = self.0.next().await?;
        let received = read.into_iter().map(|Read { event, position, appended }| Received {
            event,
            position,
            appended,
            attempt: 1,
            receipt: Receipt::of_nobody(),
        });
        Ok(received.collect())
    }
}

/// One of those who take a source's events in turns.
struct Shared {
    events: Arc<Mutex<mpsc::Receiver<Received>>>,
    /// How many one poll takes.
    most: usize,
}

#[async_trait]
impl Subscriber for Shared {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        let mut taken = Vec::new();
        // Cancel-safe: nothing is taken out unless it is returned.
        self.events.lock().await.recv_many(&mut taken, self.most).await;
        Ok(taken)
    }
}
