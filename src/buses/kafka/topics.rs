//! Topics: made when they are missing, taken as they are otherwise.
//!
//! A topic of the bus is the topic of Kafka with the same name, so that others can write and read it.
//! One that was there before keeps its partitions and its retention.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::MetadataTopic;

use super::cluster::{Cluster, PATIENCE, lock};
use super::config::Keep;
use crate::dial::kafka::{coded, fault, numbers};
use crate::fault::{Fault, FaultKind};
use crate::task;

const OPERATION: &str = "make a topic";
const SEE: &str = "see how a topic is set";
/// Whose time messages have, and that it is the broker's: what readers go by, and retention.
const STAMP: &str = "message.timestamp.type";
const STAMPED: &str = "LogAppendTime";
/// How long one look for the leaders of a new topic waits for the next.
const LOOK: Duration = Duration::from_millis(50);

/// What is waited for of a topic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Seen,
    /// Every partition has a leader.
    Led,
}

/// The fault of a topic by whose times nobody can go.
pub(super) fn unstamped(operation: &'static str, name: &str) -> Fault {
    let message = format!("messages have the times of their senders: set {STAMP} of the topic to {STAMPED}");
    Fault::new(FaultKind::Unsupported, operation, message).with_context("topic", name)
}

/// The topics that are known to be there.
pub(super) struct Topics {
    cluster: Arc<Cluster>,
    known: Mutex<HashSet<String>>,
    /// Those whose messages are known to have the broker's time.
    stamped: Mutex<HashSet<String>>,
}

impl Topics {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, known: Mutex::default(), stamped: Mutex::default() }
    }

    /// Makes sure of a topic.
    ///
    /// # Errors
    /// `Denied` when it is not there and may not be made, `Rejected` when the brokers refuse it.
    pub(super) async fn ensure(&self, name: &str) -> Result<(), Fault> {
        if lock(&self.known).contains(name) {
            return Ok(());
        }
        let config = &self.cluster.config;
        let Keep { age, bytes, .. } = &config.keep;
        let age = age.as_millis().to_string();
        // Kafka counts each partition by itself.
        let share = bytes.map(|bytes| (bytes / u64::from(config.partitions.unsigned_abs().max(1))).max(1).to_string());
        let mut topic = NewTopic::new(name, config.partitions, TopicReplication::Fixed(config.replication_factor))
            .set("retention.ms", &age)
            .set(STAMP, STAMPED);
        if let Some(share) = &share {
            topic = topic.set("retention.bytes", share);
        }
        self.make(name, topic).await.map_err(|fault| fault.with_context("topic", name))?;
        lock(&self.known).insert(name.to_owned());
        Ok(())
    }

    /// Makes sure of the topic of events that are delivered later. They are kept until they were moved.
    ///
    /// # Errors
    /// As [`Topics::ensure`].
    pub(super) async fn ensure_delayed(&self) -> Result<String, Fault> {
        let partitions = self.cluster.config.partitions;
        self.ensure_own(self.cluster.delayed(), partitions, &[("retention.ms", "-1")]).await
    }

    /// Makes sure of the topic that holds state, and names it.
    ///
    /// # Errors
    /// As [`Topics::ensure`].
    pub(super) async fn ensure_state(&self) -> Result<String, Fault> {
        self.ensure_own(format!("{}.state", self.cluster.config.name), 1, &[("cleanup.policy", "compact")]).await
    }

    /// Makes sure of the topic that tells the brokers' time, and names it. What is in it is of no use a moment later.
    ///
    /// # Errors
    /// As [`Topics::ensure`].
    pub(super) async fn ensure_clock(&self) -> Result<String, Fault> {
        let settings = [("retention.ms", "600000"), ("segment.bytes", "1048576"), (STAMP, STAMPED)];
        self.ensure_own(format!("{}.clock", self.cluster.config.name), 1, &settings).await
    }

    /// A topic beside those of the events.
    async fn ensure_own(&self, name: String, partitions: i32, settings: &[(&str, &str)]) -> Result<String, Fault> {
        if !lock(&self.known).contains(&name) {
            let replication = TopicReplication::Fixed(self.cluster.config.replication_factor);
            let topic = NewTopic::new(&name, partitions, replication);
            let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
            self.make(&name, topic).await.map_err(|fault| fault.with_context("topic", &name))?;
            lock(&self.known).insert(name.clone());
        }
        Ok(name)
    }

    /// Makes sure that the broker gives the messages of the topic their times: those of their senders are in no order.
    ///
    /// # Errors
    /// `Unsupported` when it does not, `Denied` when the topic's settings are not ours to see.
    pub(super) async fn ensure_stamped(&self, name: &str) -> Result<(), Fault> {
        if lock(&self.stamped).contains(name) {
            return Ok(());
        }
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let told = self.cluster.admin.describe_configs([&ResourceSpecifier::Topic(name)], &options).await;
        let told = told.map_err(|error| fault(SEE, error))?.pop();
        let told = told.unwrap_or(Err(RDKafkaErrorCode::UnknownTopicOrPartition));
        let told = told.map_err(|code| coded(SEE, code).with_context("topic", name))?;
        if told.get(STAMP).and_then(|entry| entry.value.as_deref()) != Some(STAMPED) {
            return Err(unstamped(SEE, name));
        }
        lock(&self.stamped).insert(name.to_owned());
        Ok(())
    }

    /// The topic may be gone.
    pub(super) fn forget(&self, name: &str) {
        lock(&self.known).remove(name);
        lock(&self.stamped).remove(name);
    }

    async fn make(&self, name: &str, topic: NewTopic<'_>) -> Result<(), Fault> {
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        let made = self.cluster.admin.create_topics([&topic], &options).await;
        let made = made.map_err(|error| fault(OPERATION, error))?.into_iter().next();
        match made {
            Some(Err((_, code))) => {
                let refused = coded(OPERATION, code);
                match refused.kind() {
                    // Somebody else may have made it just now. One that is there is taken though it lacks leaders.
                    FaultKind::Conflict => self.wait(name, Until::Seen).await,
                    // Whoever may use a topic need not be one who may make topics.
                    FaultKind::Denied => self.wait(name, Until::Led).await.map_err(|_| refused),
                    _ => Err(refused),
                }
            }
            _ => self.wait(name, Until::Led).await,
        }
    }

    /// Waits until the brokers that are asked have heard of a topic, or have heard who leads it.
    async fn wait(&self, name: &str, until: Until) -> Result<(), Fault> {
        let elapsed = task::stopwatch();
        loop {
            let (cluster, topic) = (self.cluster.clone(), name.to_owned());
            let look = move || {
                let found = cluster.admin.inner().fetch_metadata(Some(&topic), PATIENCE);
                let found = found.map_err(|error| fault(OPERATION, error))?;
                numbers(&found, &topic)?;
                let leads = |entry: &MetadataTopic| entry.partitions().iter().all(|partition| partition.leader() >= 0);
                Ok(until == Until::Seen || found.topics().iter().all(leads))
            };
            match task::blocking(OPERATION, look).await {
                Ok(true) => return Ok(()),
                Err(fault) if fault.kind() == FaultKind::Denied || elapsed() >= PATIENCE => return Err(fault),
                Ok(false) if elapsed() >= PATIENCE => {
                    return Err(Fault::new(FaultKind::Unavailable, OPERATION, "its partitions have no leaders"));
                }
                Ok(false) | Err(_) => task::sleep(LOOK).await,
            }
        }
    }
}
