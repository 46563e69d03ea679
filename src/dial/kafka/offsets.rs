//! What a group has committed: asked for, begun, told. Everything here blocks.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::client::{Listener, Told, look, numbers};
use super::desk::Commit;
use super::fault::fault;
use super::reader::{JOIN, Reading};
use super::window::settled_behind;
use crate::fault::{Fault, FaultKind};

/// For the broker to answer what is asked about offsets.
const PATIENCE: Duration = Duration::from_secs(5);

/// The partitions of a topic.
///
/// # Errors
/// As [`look`] and [`numbers`].
pub(super) fn partitions<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    told: &Told,
    topic: &str,
) -> Result<Vec<i32>, Fault> {
    let found = look(consumer.client(), told, topic, || serve(consumer))?;
    numbers(&found, topic)
}

/// Lets the client say what it has to; before it has joined, no message is among it.
fn serve<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    while consumer.poll(Duration::ZERO).is_some() {}
}

/// What the group has committed; a partition without a commit has no offset.
pub(super) fn committed<C: ConsumerContext>(
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
pub(super) fn found<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    reading: &Reading,
    partitions: &[i32],
) -> Result<(), Fault> {
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

/// Whether a commit was refused because a group goes on without the one who committed.
pub(super) fn is_alive(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let codes = [Code::UnknownMemberId, Code::IllegalGeneration, Code::RebalanceInProgress];
    error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

pub(super) fn commit<C: ConsumerContext>(
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
    let consumer = reading.consumer(Listener(told.clone()))?;
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
