//! One member of a consumer group, on a thread of its own.
//!
//! The thread polls, so that a rebalance is answered at once whatever the owner does; when nobody
//! takes messages for a while it pauses the partitions. Offsets are committed a moment after a message
//! was settled, before a partition goes to another member, and at the end. A partition that comes
//! begins where its last commit says, without what that says was settled already.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionListElem};
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::sync::watch;

use super::client::{Told, look, numbers};
use super::desk::{Commit, Desk, Message, Token};
use super::fault::fault;
use super::window::{Window, settled_behind};
use crate::fault::{Fault, FaultKind};
use crate::task;

const JOIN: &str = "join a consumer group";
const READ: &str = "read from Kafka";
/// For the broker to answer what is asked about offsets.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a commit waits for more to commit.
const COMMIT: Duration = Duration::from_millis(100);
/// After a commit that did not come about.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest rest of the thread.
const REST: Duration = Duration::from_millis(500);
/// How long nobody may take messages before the partitions are paused. A pause throws away what the
/// client fetched ahead.
const STALLED: Duration = Duration::from_secs(1);

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
    fn consumer(&self, watcher: Watcher) -> Result<BaseConsumer<Watcher>, Fault> {
        let mut client = self.client.clone();
        client.set("group.id", &self.group);
        client.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        // Where a new group starts is committed: this is for partitions that are added, and for offsets
        // that retention has deleted. Nothing is passed over then.
        client.set("auto.offset.reset", "earliest");
        client.create_with_context(watcher).map_err(|error| fault(JOIN, error))
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

fn partitions<C: ConsumerContext>(consumer: &BaseConsumer<C>, told: &Told, topic: &str) -> Result<Vec<i32>, Fault> {
    let found = look(consumer.client(), told, topic, || serve(consumer))?;
    numbers(&found, topic)
}

/// Lets the client say what it has to; before it has joined, no message is among it.
fn serve<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    while consumer.poll(Duration::ZERO).is_some() {}
}

/// What the group has committed; a partition without a commit has no offset.
fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<(i32, Option<i64>, String)>, Fault> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    let list = consumer.committed_offsets(list, PATIENCE).map_err(|error| fault(JOIN, error))?;
    let mut found = Vec::new();
    for element in list.elements() {
        element.error().map_err(|error| fault(JOIN, error))?;
        let offset = if let Offset::Offset(offset) = element.offset() { Some(offset) } else { None };
        found.push((element.partition(), offset, element.metadata().to_owned()));
    }
    Ok(found)
}

/// Commits where the group starts, in partitions in which it has not begun.
fn found(consumer: &BaseConsumer<Watcher>, reading: &Reading, partitions: &[i32]) -> Result<(), Fault> {
    let mut begin = Vec::new();
    for (partition, offset, _) in committed(consumer, &reading.topic, partitions)? {
        if offset.is_none() {
            let (low, high) = consumer
                .fetch_watermarks(&reading.topic, partition, PATIENCE)
                .map_err(|error| fault(JOIN, error).with_context("topic", &reading.topic))?;
            begin.push((partition, if reading.oldest { low } else { high }, String::new()));
        }
    }
    match commit(consumer, &reading.topic, &begin, CommitMode::Sync) {
        // Others are reading already: they have begun it.
        Err(error) if is_alive(&error) => Ok(()),
        outcome => outcome.map_err(|error| fault(JOIN, error).with_context("group", &reading.group)),
    }
}

fn is_login(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL)
}

fn is_alive(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let codes = [Code::UnknownMemberId, Code::IllegalGeneration, Code::RebalanceInProgress];
    error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    commits: &[Commit],
    mode: CommitMode,
) -> KafkaResult<()> {
    if commits.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset, text) in commits {
        let mut element = list.add_partition(topic, *partition);
        element.set_offset(Offset::Offset(*offset))?;
        element.set_metadata(text);
    }
    consumer.commit(&list, mode)
}

/// How many messages of the topic the group has not settled; blocks.
///
/// # Errors
/// `NotFound` when there is no such group; otherwise as [`Reader::open`].
pub fn unsettled(reading: &Reading) -> Result<u64, Fault> {
    const LAG: &str = "tell the lag";
    let told = Arc::new(Told::default());
    let watcher =
        Watcher { desk: Arc::default(), told: told.clone(), topic: reading.topic.clone(), assigned: Mutex::default() };
    let consumer = reading.consumer(watcher)?;
    let partitions = partitions(&consumer, &told, &reading.topic)?;
    let found = committed(&consumer, &reading.topic, &partitions)?;
    if found.iter().all(|(_, offset, _)| offset.is_none()) {
        let message = format!("there is no group {} on the topic {}", reading.group, reading.topic);
        return Err(Fault::new(FaultKind::NotFound, LAG, message));
    }
    let mut lag = 0;
    for (partition, offset, text) in found {
        let (low, high) =
            consumer.fetch_watermarks(&reading.topic, partition, PATIENCE).map_err(|error| fault(LAG, error))?;
        let offset = offset.unwrap_or(low);
        let behind = high - offset.max(low) - settled_behind(offset, &text);
        lag += u64::try_from(behind).unwrap_or(0);
    }
    Ok(lag)
}

/// What the client calls.
struct Watcher {
    desk: Arc<Desk>,
    told: Arc<Told>,
    topic: String,
    /// Partitions that came and were not looked at yet.
    assigned: Mutex<Vec<i32>>,
}

impl ClientContext for Watcher {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        self.told.log(facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.told.hear(error, reason);
    }
}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.told.stirred.store(true, Ordering::Release);
        let numbers = |list: &TopicPartitionList| -> Vec<i32> {
            list.elements().iter().map(TopicPartitionListElem::partition).collect()
        };
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = numbers(list);
                tracing::debug!(topic = self.topic, ?partitions, "partitions came");
                self.assigned.lock().unwrap_or_else(PoisonError::into_inner).extend(partitions);
            }
            Rebalance::Revoke(list) => {
                let partitions = numbers(list);
                tracing::debug!(topic = self.topic, ?partitions, "partitions go");
                self.assigned.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| !partitions.contains(one));
                let commits = self.desk.revoke(&partitions);
                // Partitions that are lost are others' already.
                if !consumer.assignment_lost()
                    && let Err(error) = commit(consumer, &self.topic, &commits, CommitMode::Sync)
                {
                    tracing::debug!(%error, "what was settled last comes again");
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "the partitions of a group cannot be shared"),
        }
    }

    fn commit_callback(&self, outcome: KafkaResult<()>, _: &TopicPartitionList) {
        self.told.stirred.store(true, Ordering::Release);
        match outcome {
            Ok(()) => self.told.answered(),
            Err(error) if is_alive(&error) => tracing::debug!(%error, "what was settled last may come again"),
            Err(error) => {
                tracing::debug!(%error, "offsets cannot be committed; trying again");
                self.desk.recommit();
            }
        }
    }
}

/// The thread.
struct Worker {
    consumer: BaseConsumer<Watcher>,
    desk: Arc<Desk>,
    told: Arc<Told>,
}

impl Worker {
    fn run(self) {
        let topic = self.consumer.context().topic.clone();
        let (mut committed, mut failures) = (task::stopwatch(), 0_u32);
        let mut full_since = None;
        let mut paused = false;
        while !self.desk.is_stopping() {
            if !self.learn() {
                self.desk.wait(COMMIT);
                continue;
            }
            if self.desk.is_full() {
                let since = *full_since.get_or_insert_with(task::stopwatch);
                if since() >= STALLED {
                    // Still polled, for the sake of rebalances; partitions that came are paused, too.
                    self.flow(false);
                    paused = true;
                    self.poll();
                }
            } else {
                full_since = None;
                if std::mem::take(&mut paused) {
                    self.flow(true);
                }
                self.poll();
            }
            let span = if failures > 0 { AGAIN } else { COMMIT };
            if self.desk.is_dirty() && committed() >= span {
                committed = task::stopwatch();
                let begun = commit(&self.consumer, &topic, &self.desk.commits(), CommitMode::Async);
                failures = if let Err(error) = begun {
                    tracing::debug!(%error, "offsets cannot be committed; trying again");
                    self.desk.recommit();
                    failures.saturating_add(1)
                } else {
                    0
                };
            }
            let rest = if self.desk.is_dirty() { span.saturating_sub(committed()).max(COMMIT / 10) } else { REST };
            self.desk.wait(rest);
        }
        let partitions = self.desk.partitions();
        let commits = self.desk.revoke(&partitions);
        if let Err(error) = commit(&self.consumer, &topic, &commits, CommitMode::Sync) {
            tracing::debug!(%error, "what was settled last comes again");
        }
        // Leaves the group, which waits for the broker.
        drop(self.consumer);
    }

    /// Takes what is there, until the desk is full.
    fn poll(&self) {
        loop {
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    self.told.answered();
                    self.desk.take(owned(&message));
                    if self.desk.is_full() {
                        // There may be more: the client tells of what comes after nothing was there.
                        return;
                    }
                }
                Some(Err(error)) => self.hear(error),
                None if self.told.stirred.swap(false, Ordering::AcqRel) => {}
                None => return,
            }
            // A message of a partition of which nothing is known yet must not be taken.
            if self.desk.is_stopping() || !self.learn() {
                return;
            }
        }
    }

    fn hear(&self, error: KafkaError) {
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        // The login was taken once: the client tries again by itself.
        let login = error.rdkafka_error_code().is_some_and(is_login);
        let heard = fault(READ, error);
        if fatal || (!login && !heard.is_retryable()) {
            tracing::debug!(fault = heard.chain(), "a reader ends");
            self.desk.fail(heard);
        } else {
            tracing::debug!(fault = heard.chain(), "the client complains");
        }
    }

    /// Asks what was committed for partitions that came; false as long as it is not known.
    fn learn(&self) -> bool {
        let watcher = self.consumer.context();
        let partitions = watcher.assigned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if partitions.is_empty() {
            return true;
        }
        match committed(&self.consumer, &watcher.topic, &partitions) {
            Ok(found) => {
                for (partition, offset, text) in found {
                    let window = offset.map_or_else(Window::default, |offset| Window::resume(offset, &text));
                    self.desk.assign(partition, window);
                }
                watcher.assigned.lock().unwrap_or_else(PoisonError::into_inner).clear();
                true
            }
            Err(fault) => {
                tracing::debug!(fault = fault.chain(), "what a group has committed cannot be told yet");
                false
            }
        }
    }

    fn flow(&self, resume: bool) {
        let mut list = TopicPartitionList::new();
        for partition in self.desk.partitions() {
            list.add_partition(&self.consumer.context().topic, partition);
        }
        let changed = if resume { self.consumer.resume(&list) } else { self.consumer.pause(&list) };
        if let Err(error) = changed {
            tracing::debug!(%error, "partitions cannot be paused or resumed");
        }
    }
}

fn owned(message: &BorrowedMessage<'_>) -> Message {
    let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), bytes(header.value).unwrap_or_default())).collect()
    });
    Message {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: bytes(message.key()),
        payload: bytes(message.payload()).unwrap_or_default(),
        headers: headers.unwrap_or_default(),
    }
}
