//! The bus itself: what its parts do for it.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use rdkafka::consumer::BaseConsumer;

use super::cluster::Cluster;
use super::config::Config;
use super::delayed::Mover;
use super::member::Member;
use super::pool::Pool;
use super::publish::Way;
use super::read::Stood;
use super::topics::Topics;
use super::{cluster, config, end, publish, read, store};
use crate::dial::kafka::{Listener, Reader, Reading, fault, numbers, unsettled};
use crate::fault::{Fault, FaultKind};
use crate::flow::{
    self, Bus, Capability, End, Group, Ordering, Outgoing, Position, Published, Start, Subscriber, Subscription, Topic,
};
use crate::task::{self, Clock, Shutdown};

/// For readers to leave their groups; brokers that are gone must not hold up the end.
const CLOSING: Duration = Duration::from_secs(5);

/// How often brokers that are away are looked after.
const LOOK: Duration = Duration::from_secs(2);

/// The members of this process by topic and group. Who joins waits for whoever is just joining.
type Pools = HashMap<(Topic, Group), Arc<tokio::sync::Mutex<Weak<Pool>>>>;

/// How far the readers apart from groups have come, by part, and how many parts each topic was said to have.
#[derive(Default)]
struct Places {
    stood: Mutex<HashMap<Topic, Arc<Mutex<Stood>>>>,
    parts: Mutex<HashMap<Topic, u32>>,
}

/// A bus on Kafka.
pub struct Kafka {
    pub(super) cluster: Arc<Cluster>,
    pub(super) topics: Arc<Topics>,
    pools: Mutex<Pools>,
    clock: Clock,
    /// What runs beside the readers until the bus is closed.
    side: Mutex<Option<task::Group>>,
    /// Whether delayed events are moved: once there may be any.
    moving: AtomicBool,
    /// What was read of the state, and who writes it.
    pub(super) desk: Arc<Mutex<store::Desk>>,
    places: Places,
    time: end::Time,
    /// Asks where partitions end.
    asking: Mutex<Option<Arc<BaseConsumer<Listener>>>>,
    closed: Shutdown,
}

impl Kafka {
    /// Connects, and asks the brokers what they allow.
    ///
    /// # Errors
    /// `Denied` when login or certificate do not suffice, `Unavailable` when no broker can be reached,
    /// `Malformed` when a setting cannot be used.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, Fault> {
        let cluster = Arc::new(Cluster::open(config).await?);
        let topics = Arc::new(Topics::new(cluster.clone()));
        let closed = Shutdown::new();
        let mut side = task::Group::new(&closed);
        side.spawn(look_after(cluster.clone(), closed.clone()));
        let (pools, desk, side) = (Mutex::default(), Arc::default(), Mutex::new(Some(side)));
        let (places, time, asking) = (Places::default(), end::Time::default(), Mutex::default());
        let moving = AtomicBool::new(false);
        let bus = Self { cluster, topics, pools, clock, side, moving, desk, places, time, asking, closed };
        if bus.cluster.waiting {
            bus.move_delayed();
        }
        Ok(bus)
    }

    /// Starts to move delayed events, unless that is done already.
    fn move_delayed(&self) {
        if let Some(side) = cluster::lock(&self.side).as_mut()
            && !self.moving.swap(true, AcqRel)
        {
            let (cluster, topics) = (self.cluster.clone(), self.topics.clone());
            side.spawn(Mover { cluster, topics, clock: self.clock.clone(), gone: self.closed.clone() }.run());
        }
    }

    /// Makes sure of what a batch needs: its topic, and that of delayed events when some are; the
    /// latter's name.
    async fn prepare(&self, topic: &Topic, batch: &[Outgoing]) -> Result<Option<String>, Fault> {
        self.is_open(publish::OPERATION)?;
        self.topics.ensure(topic.as_str()).await?;
        if !batch.iter().any(|outgoing| outgoing.delay.is_some_and(|delay| !delay.is_zero())) {
            return Ok(None);
        }
        let name = self.topics.ensure_delayed().await?;
        self.move_delayed();
        Ok(Some(name))
    }

    /// # Errors
    /// `Closed` after the bus was closed.
    pub(super) fn is_open(&self, operation: &'static str) -> Result<(), Fault> {
        if self.closed.is_requested() {
            return Err(Fault::new(FaultKind::Closed, operation, "the bus is closed"));
        }
        Ok(())
    }

    /// The client that asks where partitions end.
    fn asking(&self) -> Result<Arc<BaseConsumer<Listener>>, Fault> {
        let mut asking = cluster::lock(&self.asking);
        if let Some(made) = &*asking {
            return Ok(made.clone());
        }
        Ok(asking.insert(Arc::new(self.cluster.reader()?)).clone())
    }

    fn reading(&self, topic: &Topic, group: &Group, start: Start) -> Reading {
        Reading {
            topic: topic.as_str().to_owned(),
            group: config::group(group.as_str(), topic.as_str()),
            partition: None,
            oldest: start == Start::Earliest,
            client: self.cluster.consumer(),
        }
    }

    async fn join(&self, topic: &Topic, group: &Group, start: Start) -> Result<Arc<Pool>, Fault> {
        let place = cluster::lock(&self.pools).entry((topic.clone(), group.clone())).or_default().clone();
        let mut place = place.lock().await;
        if let Some(pool) = place.upgrade().filter(|pool| pool.enter()) {
            return Ok(pool);
        }
        let mut failures = 0;
        loop {
            self.is_open("subscribe")?;
            let opened = async {
                self.topics.ensure(topic.as_str()).await?;
                Reader::open(self.reading(topic, group, start)).await
            };
            match opened.await {
                Ok(reader) => {
                    // Whoever reads may park, and its lag is asked for from outside before it does.
                    self.move_delayed();
                    let pool = Arc::new(Pool::new(reader));
                    *place = Arc::downgrade(&pool);
                    return Ok(pool);
                }
                Err(fault) if fault.is_retryable() => {
                    failures += 1;
                    tracing::warn!(error = %fault.chain(), %topic, "Kafka cannot be used; trying again");
                    tokio::select! {
                        () = task::sleep(cluster::OUTAGE.pause(failures)) => {}
                        () = self.closed.requested() => {}
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// Looks whether the brokers are back, while nobody publishes.
async fn look_after(cluster: Arc<Cluster>, closed: Shutdown) -> Result<(), Fault> {
    loop {
        tokio::select! {
            () = closed.requested() => return Ok(()),
            () = task::sleep(LOOK) => {}
        }
        if cluster.ailment().is_some() {
            let asked = cluster.clone();
            // What is wrong is known already.
            drop(task::blocking("look after the brokers", move || asked.look()).await);
        }
    }
}

#[async_trait]
impl Bus for Kafka {
    fn capability(&self) -> Capability {
        Capability {
            delayed: true,
            deduplicated: false,
            durable: true,
            ordering: Ordering::Key,
            max_event_bytes: self.cluster.max_event_bytes(),
        }
    }

    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        let delayed = match self.prepare(topic, &batch).await {
            Ok(delayed) => delayed,
            Err(fault) => return vec![Err(fault); batch.len()],
        };
        let delayed = delayed.as_deref().map(|name| (name, self.clock.now()));
        publish::publish(&Way { cluster: &self.cluster, topics: &self.topics, topic, delayed }, &batch).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        let Subscription { topic, group, start, max_in_flight } = subscription;
        let pool = self.join(&topic, &group, start).await?;
        Ok(Box::new(Member::new(pool, topic, max_in_flight.max(1), self.closed.child())))
    }

    async fn parts(&self, topic: &Topic) -> Result<u32, Fault> {
        const OPERATION: &str = "count the parts of a topic";
        self.is_open(OPERATION)?;
        self.topics.ensure(topic.as_str()).await?;
        let (cluster, name) = (self.cluster.clone(), topic.to_string());
        let count = task::blocking(OPERATION, move || {
            let found = cluster.admin.inner().fetch_metadata(Some(&name), cluster::PATIENCE);
            Ok(numbers(&found.map_err(|error| fault(OPERATION, error))?, &name)?.len())
        });
        let count = u32::try_from(count.await?).unwrap_or(u32::MAX);
        cluster::lock(&self.places.parts).insert(topic.clone(), count);
        Ok(count)
    }

    async fn read(&self, topic: &Topic, after: Option<Position>) -> Result<Box<dyn flow::Reader>, Fault> {
        self.is_open("read a topic")?;
        let stood: Arc<Mutex<Stood>> = Arc::default();
        cluster::lock(&self.places.stood).insert(topic.clone(), stood.clone());
        let parts = cluster::lock(&self.places.parts).get(&topic.whole()).copied();
        let reading = read::Reading { topic: topic.clone(), after, parts, stood };
        Ok(Box::new(read::Reader::open(&self.cluster, reading, self.closed.child())?))
    }

    async fn end(&self, topic: &Topic) -> Result<End, Fault> {
        self.is_open(end::OPERATION)?;
        match self.topics.ensure_stamped(topic.whole().as_str()).await {
            // There is nothing in it yet.
            Err(fault) if fault.kind() == FaultKind::NotFound => {}
            stamped => stamped?,
        }
        // Before the place: what comes meanwhile is later, and does no harm.
        let time = self.time.now(&self.cluster, &self.topics).await?;
        let asking = self.asking()?;
        let (part, stood) = (topic.clone(), cluster::lock(&self.places.stood).get(topic).cloned());
        let newest = move || end::newest(&asking, &part, stood.as_deref());
        Ok(End { position: task::blocking(end::OPERATION, newest).await?, time })
    }

    async fn resume(&self, topic: &Topic, after: Position) -> Result<Option<Position>, Fault> {
        self.is_open(end::OPERATION)?;
        let (asking, part) = (self.asking()?, topic.clone());
        task::blocking(end::OPERATION, move || end::resume(&asking, &part, after)).await
    }

    async fn behind(&self, topic: &Topic, after: Option<Position>) -> Result<u64, Fault> {
        self.is_open(end::OPERATION)?;
        let (asking, part) = (self.asking()?, topic.clone());
        task::blocking(end::OPERATION, move || end::behind(&asking, &part, after)).await
    }

    async fn lag(&self, topic: &Topic, group: &Group) -> Result<u64, Fault> {
        const OPERATION: &str = "tell the lag";
        self.is_open(OPERATION)?;
        let reading = self.reading(topic, group, Start::Earliest);
        task::blocking(OPERATION, move || unsettled(&reading)).await
    }

    fn ailment(&self) -> Option<Fault> {
        self.is_open("use the bus").err().or_else(|| self.cluster.ailment())
    }

    /// Readers commit what is settled and leave their groups.
    async fn close(&self) -> Result<(), Fault> {
        if self.closed.is_requested() {
            return Ok(());
        }
        self.closed.request();
        let side = cluster::lock(&self.side).take();
        let places: Vec<_> = cluster::lock(&self.pools).drain().map(|(_, place)| place).collect();
        let closing = places.into_iter().map(|place| async move {
            match place.lock().await.upgrade() {
                Some(pool) => pool.close(CLOSING).await,
                None => true,
            }
        });
        let readers = join_all(closing).await;
        let ended = match side {
            Some(side) => task::within(CLOSING, side.join()).await.is_some(),
            None => true,
        };
        if !ended || readers.contains(&false) {
            return Err(Fault::new(FaultKind::Timeout, "close the bus", "the brokers do not answer"));
        }
        Ok(())
    }
}
