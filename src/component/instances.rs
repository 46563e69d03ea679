//! The Components of one kind that daprd initialised, by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, watch};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::{Kind, Made};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus, Group as ConsumerGroup, Received, Store, Subscriber, Subscription, Topic};
use crate::frame::Ask;
use crate::task::{Clock, Group, Shutdown};

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

/// Events that one poll of a source's queue takes: enough for a frame, without holding others off.
const MAX_POLL: usize = 512;

/// The Components of one kind.
pub struct Instances {
    kind: Kind,
    clock: Clock,
    shutdown: Shutdown,
    known: RwLock<HashMap<String, Arc<Instance>>>,
    /// One initialisation at a time.
    making: Mutex<()>,
}

impl Instances {
    pub fn new(kind: Kind, clock: Clock, shutdown: Shutdown) -> Self {
        Self { kind, clock, shutdown, known: RwLock::default(), making: Mutex::default() }
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
    pub(super) async fn init(&self, call: &MetadataMap, properties: BTreeMap<String, String>) -> Result<(), Status> {
        let _one = self.making.lock().await;
        let name = name(call);
        let old = self.get(name);
        if old.as_ref().is_some_and(|old| old.properties == properties) {
            tracing::info!(component = name, kind = self.kind.name, "initialised again");
            return Ok(());
        }
        if let Some(old) = old {
            old.stop().await;
        }
        let metadata = properties.iter().filter(|(key, _)| !is_daprs(key));
        let metadata = metadata.map(|(key, value)| (key.clone(), value.clone())).collect();
        let made = self.kind.factory.make(name, &metadata).await.map_err(|fault| {
            tracing::error!(component = name, kind = self.kind.name, fault = fault.chain(), "cannot be initialised");
            super::status::status(&fault)
        })?;
        let instance = Arc::new(Instance::new(name, properties, made, &self.shutdown));
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), instance);
        tracing::info!(component = name, kind = self.kind.name, "initialised");
        Ok(())
    }

    /// The Component that the call is for.
    pub(super) fn find(&self, call: &MetadataMap) -> Result<Arc<Instance>, Status> {
        let name = name(call);
        self.get(name).ok_or_else(|| {
            let message = format!(
                "Component {name:?} was not initialised in this process, which started after its daprd: restart daprd"
            );
            tracing::error!(component = name, kind = self.kind.name, "{message}");
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

fn name(call: &MetadataMap) -> &str {
    call.get(INSTANCE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn is_daprs(key: &str) -> bool {
    DAPRS_OWN.iter().any(|own| own.eq_ignore_ascii_case(key))
}

/// One Component.
pub(super) struct Instance {
    name: String,
    properties: BTreeMap<String, String>,
    origin: Origin,
    paused: watch::Sender<bool>,
}

enum Origin {
    Bus {
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
    },
    Source {
        /// Taken in turns by the streams that are open.
        events: Arc<Mutex<mpsc::Receiver<Received>>>,
        running: Mutex<Group>,
    },
}

impl Instance {
    fn new(name: &str, properties: BTreeMap<String, String>, made: Made, shutdown: &Shutdown) -> Self {
        let origin = match made {
            Made::Bus { bus, store } => Origin::Bus { bus, store },
            Made::Source { source, events } => {
                let mut running = Group::new(shutdown);
                let (stop, name) = (running.shutdown().clone(), name.to_owned());
                running.spawn(async move {
                    let ended = source.run(stop).await;
                    if let Err(fault) = &ended {
                        tracing::error!(component = name, fault = fault.chain(), "the source ended");
                    }
                    ended
                });
                Origin::Source { events: Arc::new(Mutex::new(events)), running: Mutex::new(running) }
            }
        };
        Self { name: name.to_owned(), properties, origin, paused: watch::Sender::new(false) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether messages are held back; changes with [`Instance::pause`].
    pub(super) fn paused(&self) -> &watch::Sender<bool> {
        &self.paused
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
    pub(super) async fn subscribe(&self, topic: Topic, ask: &Ask) -> Result<Box<dyn Subscriber>, Fault> {
        match &self.origin {
            Origin::Source { events, .. } => Ok(Box::new(Shared(events.clone()))),
            Origin::Bus { bus, .. } => {
                let consumer = self.properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(CONSUMER_ID));
                let group = ask.group.as_deref().or(consumer.map(|(_, id)| id.as_str())).unwrap_or(&self.name);
                let group = ConsumerGroup::new(group)
                    .map_err(|error| Fault::new(FaultKind::Rejected, "subscribe", error.to_string()))?;
                let events = ask.frames.map_or(1, |limits| limits.events);
                let max_in_flight = ask.in_flight.saturating_mul(events);
                bus.subscribe(Subscription { topic, group, start: ask.start, max_in_flight }).await
            }
        }
    }

    async fn stop(&self) {
        if let Origin::Source { running, .. } = &self.origin {
            let group = std::mem::take(&mut *running.lock().await);
            group.shutdown().request();
            // It was logged where it happened.
            group.join().await.unwrap_or_default();
        }
    }
}

/// One of those who take a source's events in turns.
struct Shared(Arc<Mutex<mpsc::Receiver<Received>>>);

#[async_trait]
impl Subscriber for Shared {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        let mut taken = Vec::new();
        // Cancel-safe: nothing is taken out unless it is returned.
        self.0.lock().await.recv_many(&mut taken, MAX_POLL).await;
        Ok(taken)
    }
}
