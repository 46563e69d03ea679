//! State in a compacted topic, written with compare-and-swap.
//!
//! One writer at a time: its transactional id is the bus's, and whoever starts with it (`fence`) ends what
//! others had begun, so that their next commit is refused. A writer that was not fenced off knows all
//! there is; one that was starts anew, reads what was written meanwhile, and judges again. A batch is
//! one transaction: all of it, or none. The revision of a value is the offset of its message, so none
//! comes back. Readers keep a copy, and read what is new before they answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::Offset;

use super::Kafka;
use super::cluster::{Cluster, PATIENCE, lock};
use crate::dial::kafka::{Listener, Told, fault};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Store, Stored, Write};
use crate::task;

const READ: &str = "read the store";
const STORE: &str = "write to the store";
/// How often a writer that was fenced off begins anew.
const ATTEMPTS: usize = 10;
/// The most writes in one batch.
const MAX_BATCH: usize = 1000;

/// Everything that was read, by key.
type Table = BTreeMap<Bytes, (Revision, Bytes)>;

#[derive(Default)]
pub(super) struct Desk {
    table: Table,
    /// The next offset to read.
    next: i64,
    /// The table has everything before this offset: all that was there when the last write from here was made, and that.
    known: i64,
    reader: Option<BaseConsumer<Listener>>,
    writer: Option<BaseProducer<Outcome>>,
}

/// Notes where the messages of a transaction were put.
struct Outcome {
    told: Arc<Told>,
    offsets: Mutex<BTreeMap<usize, Result<i64, KafkaError>>>,
}

impl rdkafka::ClientContext for Outcome {
    fn error(&self, error: KafkaError, reason: &str) {
        self.told.hear(error, reason);
    }

    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, facility: &str, text: &str) {
        self.told.log(facility, text);
    }
}

impl ProducerContext for Outcome {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, place: Self::DeliveryOpaque) {
        let offset = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        lock(&self.offsets).insert(*place, offset);
    }
}

impl Kafka {
    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        ask: impl FnOnce(&Cluster, &str, &mut Desk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.is_open(operation)?;
        let topic = self.topics.ensure_state().await?;
        let (cluster, desk) = (self.cluster.clone(), self.desk.clone());
        // Everyone waits for the one who is at it: there is one writer at a time anyhow.
        task::blocking(operation, move || ask(&cluster, &topic, &mut lock(&desk))).await
    }
}

#[async_trait]
impl Store for Kafka {
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        let key = Bytes::copy_from_slice(key);
        self.ask(READ, move |cluster, topic, desk| {
            desk.refresh(cluster, topic)?;
            Ok(desk.table.get_key_value(&key).map(stored))
        })
        .await
    }

    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault> {
        let prefix = Bytes::copy_from_slice(prefix);
        self.ask(READ, move |cluster, topic, desk| {
            desk.refresh(cluster, topic)?;
            let from = desk.table.range(prefix.clone()..);
            Ok(from.take_while(|(key, _)| key.starts_with(&prefix)).take(limit).map(stored).collect())
        })
        .await
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        check(&batch, self.cluster.max_event_bytes())?;
        if batch.is_empty() {
            return self.is_open(STORE).map(|()| Vec::new());
        }
        self.ask(STORE, move |cluster, topic, desk| desk.write(cluster, topic, &batch)).await
    }
}

fn stored((key, (revision, value)): (&Bytes, &(Revision, Bytes))) -> Stored {
    Stored { key: key.clone(), value: value.clone(), revision: *revision }
}

fn check(batch: &[Write], max: usize) -> Result<(), Fault> {
    let unsupported = |message: String| Err(Fault::new(FaultKind::Unsupported, STORE, message));
    if batch.len() > MAX_BATCH {
        return unsupported(format!("a batch has {} writes, at most {MAX_BATCH} are taken", batch.len()));
    }
    let keys: BTreeSet<&Bytes> = batch.iter().map(|write| &write.key).collect();
    if keys.len() < batch.len() {
        return unsupported("a batch writes a key twice".to_owned());
    }
    let largest = batch.iter().map(|write| write.key.len() + write.value.as_ref().map_or(0, Bytes::len)).max();
    if let Some(largest) = largest.filter(|largest| *largest > max) {
        let message = format!("a key and its value have {largest} bytes, {max} are taken");
        return Err(Fault::new(FaultKind::TooLarge, STORE, message));
    }
    Ok(())
}

impl Desk {
    /// Reads what is new, to the end.
    fn refresh(&mut self, cluster: &Cluster, topic: &str) -> Result<(), Fault> {
        let outcome = self.read_on(cluster, topic);
        if outcome.is_err() {
            self.reader = None;
        }
        outcome
    }

    fn read_on(&mut self, cluster: &Cluster, topic: &str) -> Result<(), Fault> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => cluster.state_reader()?,
        };
        // The place is told anew each time, so that the end is told anew, too.
        let mut list = TopicPartitionList::new();
        let from = if self.next == 0 { Offset::Beginning } else { Offset::Offset(self.next) };
        list.add_partition_offset(topic, 0, from)
            .and_then(|()| reader.assign(&list))
            .map_err(|error| fault(READ, error))?;
        let elapsed = task::stopwatch();
        loop {
            match reader.poll(PATIENCE / 50) {
                Some(Ok(message)) => {
                    self.next = message.offset() + 1;
                    if let Some(key) = message.key() {
                        self.learn(message.offset(), key, message.payload());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => {
                    let heard = fault(READ, error);
                    if !heard.is_retryable() {
                        return Err(heard);
                    }
                }
                None => {}
            }
            if elapsed() >= PATIENCE * 6 {
                return Err(Fault::new(FaultKind::Timeout, READ, "the brokers do not answer"));
            }
        }
        reader.unassign().map_err(|error| fault(READ, error))?;
        self.reader = Some(reader);
        Ok(())
    }

    fn write(&mut self, cluster: &Cluster, topic: &str, batch: &[Write]) -> Result<Vec<Revision>, Fault> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let (writer, new) = match self.writer.take() {
                Some(writer) => (writer, false),
                None => (fence(cluster)?, true),
            };
            // One that was fenced off has an old copy: what that says is no conflict yet.
            if new || self.judge(batch).is_err() {
                // Where that fails the writer goes, too: it would go by an old copy.
                self.refresh(cluster, topic)?;
                if let Err(conflict) = self.judge(batch) {
                    self.writer = Some(writer);
                    return Err(conflict);
                }
            }
            match transact(&writer, topic, batch) {
                Ok(revisions) => {
                    self.note(batch, &revisions);
                    self.writer = Some(writer);
                    return Ok(revisions);
                }
                Err(fault) if fault.kind() == FaultKind::Conflict || writer.client().fatal_error().is_some() => {
                    last = Some(fault);
                }
                // Whether it was written is not known; the next one looks.
                Err(fault) => return Err(fault),
            }
        }
        Err(last.unwrap_or_else(|| Fault::new(FaultKind::Unavailable, STORE, "another process always came first")))
    }

    fn judge(&self, batch: &[Write]) -> Result<(), Fault> {
        for write in batch {
            let found = self.revision(&write.key);
            let holds = match write.expect {
                Expect::Anything => true,
                Expect::Absent => found.is_none(),
                Expect::Revision(revision) => found == Some(revision),
            };
            if !holds {
                let found = found.map_or("-".to_owned(), |Revision(number)| number.to_string());
                return Err(Fault::new(FaultKind::Conflict, STORE, format!("another revision was found: {found}")));
            }
        }
        Ok(())
    }

    /// Takes in what was read. A commit is told before the last of it can be read: what was written before must not
    /// come in its stead.
    pub(super) fn learn(&mut self, offset: i64, key: &[u8], value: Option<&[u8]>) {
        if offset >= self.known {
            self.put(offset, Bytes::copy_from_slice(key), value.map(Bytes::copy_from_slice));
        }
    }

    /// Takes in what was written from here, by a writer that nobody has fenced off: nobody else wrote since it began.
    pub(super) fn note(&mut self, batch: &[Write], revisions: &[Revision]) {
        for (write, Revision(revision)) in batch.iter().zip(revisions) {
            let offset = i64::try_from(*revision).unwrap_or(i64::MAX);
            self.put(offset, write.key.clone(), write.value.clone());
            self.known = self.known.max(offset.saturating_add(1));
        }
    }

    fn put(&mut self, offset: i64, key: Bytes, value: Option<Bytes>) {
        let revision = Revision(u64::try_from(offset).unwrap_or_default());
        match value {
            Some(value) => drop(self.table.insert(key, (revision, value))),
            None => drop(self.table.remove(&key)),
        }
    }

    /// The revision of a value.
    pub(super) fn revision(&self, key: &[u8]) -> Option<Revision> {
        self.table.get(key).map(|(revision, _)| *revision)
    }
}

/// A writer that has ended what others had begun.
fn fence(cluster: &Cluster) -> Result<BaseProducer<Outcome>, Fault> {
    let outcome = |told| Outcome { told, offsets: Mutex::default() };
    let writer: BaseProducer<Outcome> = cluster.state_writer(outcome)?;
    writer.init_transactions(PATIENCE).map_err(|error| fault(STORE, error))?;
    Ok(writer)
}

/// Writes a batch in one transaction.
///
/// # Errors
/// `Conflict` when another writer has fenced this one off: then nothing was written.
fn transact(writer: &BaseProducer<Outcome>, topic: &str, batch: &[Write]) -> Result<Vec<Revision>, Fault> {
    let said = |error| fault(STORE, error);
    lock(&writer.context().offsets).clear();
    writer.begin_transaction().map_err(said)?;
    for (place, write) in batch.iter().enumerate() {
        let mut record = BaseRecord::with_opaque_to(topic, Box::new(place)).partition(0).key(&write.key[..]);
        if let Some(value) = &write.value {
            record = record.payload(&value[..]);
        }
        if let Err((error, _)) = writer.send(record) {
            return Err(said(error));
        }
    }
    writer.commit_transaction(PATIENCE * 2).map_err(said)?;
    // What is told of each message has come by now, or waits to be asked for.
    let elapsed = task::stopwatch();
    while lock(&writer.context().offsets).len() < batch.len() && elapsed() < PATIENCE {
        writer.poll(Duration::from_millis(1));
    }
    let mut offsets = lock(&writer.context().offsets);
    let revisions = (0..batch.len()).map(|place| match offsets.remove(&place) {
        Some(Ok(offset)) => Ok(Revision(u64::try_from(offset).unwrap_or_default())),
        Some(Err(error)) => Err(said(error)),
        None => Err(Fault::new(FaultKind::Internal, STORE, "the client did not tell where a value was put")),
    });
    revisions.collect()
}
