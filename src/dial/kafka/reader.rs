//! One member of a consumer group, on a thread of its own.
//!
//! The thread polls, so that a rebalance is answered at once whatever the owner does; when nobody
//! takes messages for a while it pauses the partitions. Offsets are committed a moment after a message
//! was settled, before a partition goes to another member, and at the end. A partition that comes
//! begins where its last commit says, without what that says was settled already.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::sync::watch;

use super::client::Told;
use super::desk::{Desk, Message, Token};
use super::fault::fault;
use super::offsets::{found, partitions};
use super::worker::{Watcher, Worker};
use crate::fault::{Fault, FaultKind};
use crate::task;

pub(super) const JOIN: &str = "join a consumer group";

/// What is to be read.
pub struct Reading {
    pub topic: String,
    pub group: String,
    /// This partition alone, without sharing it.
    pub partition: Option<i32>,
    /// Where the group starts when it is new: at the oldest message, or the next one.
    pub oldest: bool,
    /// Of [`super::Cluster::client`].
    pub client: ClientConfig,
}

impl Reading {
    pub(super) fn consumer<C: ConsumerContext>(&self, context: C) -> Result<BaseConsumer<C>, Fault> {
        let mut client = self.client.clone();
        client.set("group.id", &self.group);
        client.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        // Where a new group starts is committed: this is for partitions that are added, and for offsets
        // that retention has deleted. Nothing is passed over then.
        client.set("auto.offset.reset", "earliest");
        client.create_with_context(context).map_err(|error| fault(JOIN, error))
    }
}

/// What every consumer wants, unless it is set otherwise.
pub const DEFAULTS: [(&str, &str); 5] = [
    // A member that died is noticed after so long.
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "3000"),
    // What the client fetches ahead, at most.
    ("queued.max.messages.kbytes", "8192"),
    ("fetch.error.backoff.ms", "100"),
    // New partitions are seen after so long.
    ("topic.metadata.refresh.interval.ms", "60000"),
];

/// A member of a group. It leaves when this is dropped; what was not settled goes to the others then.
pub struct Reader {
    desk: Arc<Desk>,
    /// Its other end goes when the thread has ended.
    ended: watch::Receiver<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.desk.stop();
    }
}

impl Reader {
    /// Joins. The group exists, durably, when this returns.
    ///
    /// # Errors
    /// As [`look`] about the topic; or that the group cannot be joined.
    pub async fn open(reading: Reading) -> Result<Self, Fault> {
        task::blocking(JOIN, move || Self::join(&reading)).await
    }

    fn join(reading: &Reading) -> Result<Self, Fault> {
        let (desk, told) = (Arc::new(Desk::default()), Arc::new(Told::default()));
        let watcher = Watcher {
            desk: desk.clone(),
            told: told.clone(),
            topic: reading.topic.clone(),
            assigned: Mutex::default(),
        };
        let mut consumer = reading.consumer(watcher)?;
        let partitions = partitions(&consumer, &told, &reading.topic)?;
        if let Some(partition) = reading.partition
            && !partitions.contains(&partition)
        {
            let message = format!("the topic has no partition {partition}");
            let missing = Fault::new(FaultKind::Rejected, JOIN, message).with_context("topic", &reading.topic);
            return Err(missing);
        }
        found(&consumer, reading, &partitions)?;
        match reading.partition {
            None => consumer.subscribe(&[&reading.topic]).map_err(|error| fault(JOIN, error))?,
            Some(partition) => {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(&reading.topic, partition, Offset::Stored)
                    .and_then(|()| consumer.assign(&list))
                    .map_err(|error| fault(JOIN, error))?;
                consumer.context().assigned.lock().unwrap_or_else(PoisonError::into_inner).push(partition);
            }
        }
        let bell = desk.clone();
        consumer.set_nonempty_callback(move || bell.ring());
        let (ending, ended) = watch::channel(());
        let worker = Worker { consumer, desk: desk.clone(), told };
        let run = move || {
            worker.run();
            drop(ending);
        };
        // It ends by itself, after it was told to; the channel says when.
        task::thread("kafka-reader", run).map(drop).map_err(|error| {
            Fault::new(FaultKind::Unavailable, JOIN, "the system gives no thread").with_source(error)
        })?;
        Ok(Self { desk, ended })
    }

    /// What came, if anything did.
    ///
    /// # Errors
    /// When the reader has ended, and why.
    pub fn next(&self) -> Result<Option<(Token, Message)>, Fault> {
        match self.desk.next() {
            Some(found) => Ok(Some(found)),
            None => self.desk.failed().map_or(Ok(None), Err),
        }
    }

    /// Changes when something came, or went to another member, or the reader ended.
    pub fn filled(&self) -> watch::Receiver<u64> {
        self.desk.filled.subscribe()
    }

    /// The message is done with. One whose partition went to another member meanwhile comes again there.
    pub fn settle(&self, token: Token) {
        self.desk.settle(token);
    }

    /// Whether the message's partition is still ours.
    pub fn is_current(&self, token: Token) -> bool {
        self.desk.is_current(token)
    }

    /// As [`Reader::close`], without waiting.
    pub fn leave(&self) {
        self.desk.stop();
    }

    /// Commits what is settled and leaves the group; whether that was done within `limit`.
    pub async fn close(&self, limit: Duration) -> bool {
        self.desk.stop();
        let mut ended = self.ended.clone();
        let end = async { while ended.changed().await.is_ok() {} };
        task::within(limit, end).await.is_some()
    }
}
