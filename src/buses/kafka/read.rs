//! A reader of one partition, apart from all groups.
//!
//! Its thread fetches ahead, at most a few batches. Offsets that are no events (marks of transactions, what was
//! rolled back) never come; what of them the client has passed is seen by the place at which it stands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;
use tokio::sync::mpsc;

use super::cluster::{Cluster, LOOK, lock};
use super::message;
use crate::dial::kafka::{Listener, Message, fault, is_login, numbers};
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Position, Read, Topic};
use crate::task::{self, Shutdown};

const READ: &str = "read a topic";
/// Batches that wait for their reader, at most.
const BATCHES: usize = 2;
/// Events of one batch, at most.
const EVENTS: usize = 512;
/// A batch is handed out when it has so many bytes.
const BYTES: usize = 1 << 20;
/// The longest rest of the thread, and its pause while there is no topic.
const REST: Duration = Duration::from_millis(100);
/// How often it is looked whether there are more.
const MORE: Duration = Duration::from_secs(30);

/// How far a partition was read.
#[derive(Debug, Default)]
pub(super) struct Stood {
    /// The last event, or what the reader began behind.
    pub last: Option<Position>,
    /// What comes before this offset was handed out, or is no event.
    pub next: i64,
}

/// What is to be read.
pub(super) struct Reading {
    /// Or a part of one.
    pub topic: Topic,
    pub after: Option<Position>,
    /// The partitions that are read, all readers of the topic together.
    pub parts: Option<u32>,
    pub stood: Arc<Mutex<Stood>>,
}

pub(super) struct Reader {
    batches: mpsc::Receiver<Result<Vec<Read>, Fault>>,
    closed: Shutdown,
}

impl Reader {
    /// # Errors
    /// When a setting cannot be used, or the system gives no thread.
    pub(super) fn open(cluster: &Cluster, reading: Reading, closed: Shutdown) -> Result<Self, Fault> {
        let consumer = cluster.reader()?;
        let (sender, batches) = mpsc::channel(BATCHES);
        let next = message::next(reading.after);
        *lock(&reading.stood) = Stood { last: reading.after, next };
        let worker = Worker {
            consumer,
            whole: reading.topic.whole().to_string(),
            partition: i32::try_from(reading.topic.number()).unwrap_or(i32::MAX),
            parts: reading.parts.and_then(|parts| i32::try_from(parts).ok()),
            stood: reading.stood,
            next,
            batches: sender,
        };
        // It ends by itself when the reader is dropped.
        task::thread("kafka-part", move || worker.run()).map(drop).map_err(|error| {
            Fault::new(FaultKind::Unavailable, READ, "the system gives no thread").with_source(error)
        })?;
        Ok(Self { batches, closed })
    }
}

#[async_trait]
impl flow::Reader for Reader {
    async fn next(&mut self) -> Result<Vec<Read>, Fault> {
        let ended = || Err(Fault::new(FaultKind::Internal, READ, "the reader's thread is gone"));
        tokio::select! {
            biased;
            () = self.closed.requested() => Ok(Vec::new()),
            batch = self.batches.recv() => batch.unwrap_or_else(ended),
        }
    }
}

/// The thread.
struct Worker {
    consumer: BaseConsumer<Listener>,
    whole: String,
    partition: i32,
    parts: Option<i32>,
    stood: Arc<Mutex<Stood>>,
    next: i64,
    batches: mpsc::Sender<Result<Vec<Read>, Fault>>,
}

impl Worker {
    fn run(mut self) {
        let ended = self.read();
        if let Err(fault) = ended {
            // Nobody is there any more who could be told.
            drop(self.batches.blocking_send(Err(fault)));
        }
    }

    /// Until nobody reads any more.
    fn read(&mut self) -> Result<(), Fault> {
        let there = loop {
            if self.batches.is_closed() {
                return Ok(());
            }
            match self.look() {
                Ok(there) if there > self.partition => break there,
                Err(fault) if fault.kind() == FaultKind::Denied => return Err(fault),
                Ok(_) | Err(_) => drop(self.consumer.poll(REST)),
            }
        };
        let known = self.parts.unwrap_or(there);
        self.assign()?;
        let mut looked = task::stopwatch();
        while !self.batches.is_closed() {
            let batch = self.fetch()?;
            if !batch.is_empty() && self.batches.blocking_send(Ok(batch)).is_err() {
                break;
            }
            if self.partition == 0 && looked() >= MORE {
                looked = task::stopwatch();
                let there = self.look().unwrap_or(known);
                if there > known {
                    let message = format!("the topic has {there} partitions now, and {known} are read: start again");
                    return Err(Fault::new(FaultKind::Conflict, READ, message).with_context("topic", &self.whole));
                }
            }
        }
        Ok(())
    }

    /// How many partitions there are.
    fn look(&self) -> Result<i32, Fault> {
        let found = self.consumer.fetch_metadata(Some(&self.whole), LOOK).map_err(|error| fault(READ, error))?;
        Ok(i32::try_from(numbers(&found, &self.whole)?.len()).unwrap_or(i32::MAX))
    }

    fn assign(&self) -> Result<(), Fault> {
        let mut list = TopicPartitionList::new();
        let from = if self.next == 0 { Offset::Beginning } else { Offset::Offset(self.next) };
        list.add_partition_offset(&self.whole, self.partition, from)
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|error| fault(READ, error))
    }

    /// What is there; nothing after a rest.
    fn fetch(&mut self) -> Result<Vec<Read>, Fault> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < EVENTS && bytes < BYTES {
            let rest = if batch.is_empty() { REST } else { Duration::ZERO };
            match self.consumer.poll(rest) {
                Some(Ok(message)) => {
                    let message = Message::of(&message);
                    if message.offset < self.next {
                        return Err(self.gone_back(message.offset));
                    }
                    let (position, appended) =
                        (message::position(message.partition, message.offset), message::appended(&message));
                    bytes += message.size();
                    self.next = message.offset + 1;
                    batch.push(Read { event: message::read(&message, &self.whole), position, appended });
                }
                // How far that is, nobody says: the end of a broker that is behind comes early.
                None | Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => {
                    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
                    // The login was taken once: the client tries again by itself.
                    let login = is_login(&error);
                    let heard = fault(READ, error);
                    tracing::debug!(fault = heard.chain(), topic = self.whole, "the client complains");
                    if fatal || (!login && heard.kind() == FaultKind::Denied) {
                        return Err(heard);
                    }
                }
            }
        }
        self.next = self.next.max(self.passed());
        let mut stood = lock(&self.stood);
        stood.next = self.next;
        stood.last = batch.last().map_or(stood.last, |last| Some(last.position));
        drop(stood);
        Ok(batch)
    }

    /// What comes before this offset has gone through the client, events and what is none; 0 when nothing has.
    fn passed(&self) -> i64 {
        let place = self.consumer.position().ok().and_then(|list| Some(list.elements().first()?.offset()));
        if let Some(Offset::Offset(offset)) = place { offset } else { 0 }
    }

    /// Whoever keeps places would take what comes now for what was decided on.
    fn gone_back(&self, offset: i64) -> Fault {
        let message = format!(
            "offset {offset} came after {}: the topic was made anew or cut short; start again, and a partition that ends before what was read of it is read from its start",
            self.next - 1
        );
        let fault = Fault::new(FaultKind::Conflict, READ, message);
        fault.with_context("topic", &self.whole).with_context("partition", self.partition.to_string())
    }
}
