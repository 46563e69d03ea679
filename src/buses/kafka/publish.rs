//! Publishing: a batch is handed to the client at once, and each event is answered for when every replica
//! has it.

use jiff::Timestamp;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use rdkafka::producer::future_producer::DeliveryFuture;

use super::cluster::{Cluster, Sender};
use super::delayed;
use super::message;
use super::topics::Topics;
use crate::dial::kafka::fault;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Outgoing, Published, Topic};

pub(super) const OPERATION: &str = "publish";

/// Where a batch goes.
pub(super) struct Way<'a> {
    pub cluster: &'a Cluster,
    pub topics: &'a Topics,
    pub topic: &'a Topic,
    /// The topic of events that are delivered later, and the present moment.
    pub delayed: Option<(&'a str, Timestamp)>,
}

/// Publishes a batch; the answers are in its order.
pub(super) async fn publish(way: &Way<'_>, batch: &[Outgoing]) -> Vec<Result<Published, Fault>> {
    let Way { cluster, topics, topic, .. } = way;
    let max = cluster.max_event_bytes();
    let producer = cluster.producer();
    let mut full: Option<Fault> = None;
    let mut sending = Vec::with_capacity(batch.len());
    for outgoing in batch {
        let size = outgoing.event.record().len();
        if size > max {
            let message = format!("the event has {size} bytes, at most {max} are taken");
            sending.push(Err(Fault::new(FaultKind::TooLarge, OPERATION, message)));
            continue;
        }
        // What comes after one that found no room would overtake it.
        if let Some(full) = &full {
            sending.push(Err(full.clone()));
            continue;
        }
        sending.push(send(way, &producer, outgoing).inspect_err(|fault| {
            if fault.kind() == FaultKind::Throttled {
                full = Some(fault.clone());
            }
        }));
    }
    let mut answers = Vec::with_capacity(batch.len());
    for sent in sending {
        let answer = match sent {
            Err(fault) => Err(fault),
            Ok((delivery, is_late)) => match delivery.await {
                Ok(Ok(_)) if is_late => Ok(Published::Delayed),
                Ok(Ok(delivered)) => Ok(Published::At(message::position(delivered.partition, delivered.offset))),
                Ok(Err((error, _))) => Err(fault(OPERATION, error)),
                Err(_) => Err(Fault::new(FaultKind::Closed, OPERATION, "the client is closed")),
            },
        };
        if answer.as_ref().is_err_and(|fault| fault.kind() == FaultKind::NotFound) {
            topics.forget(topic.as_str());
        }
        answers.push(answer.map_err(|fault| fault.with_context("topic", topic.as_str())));
    }
    if answers.iter().any(Result::is_ok) {
        cluster.answered();
    }
    if answers.iter().any(Result::is_err) {
        cluster.check(&producer);
    }
    answers
}

/// Hands one event to the client; whether it is delivered later.
fn send(way: &Way<'_>, producer: &Sender, outgoing: &Outgoing) -> Result<(DeliveryFuture, bool), Fault> {
    let mut headers = OwnedHeaders::new();
    let payload = message::write(&outgoing.event, |name, value| {
        headers = std::mem::take(&mut headers).insert(Header { key: name, value: Some(value) });
    });
    let late = match (outgoing.delay, way.delayed) {
        (Some(delay), Some((name, now))) if !delay.is_zero() => {
            // What is longer than time itself is due at its end.
            let due = now.checked_add(delay).unwrap_or(Timestamp::MAX);
            headers = delayed::mark(headers, way.topic.as_str(), due);
            Some(name)
        }
        _ => None,
    };
    let key = message::key(&outgoing.event);
    let mut record: FutureRecord<'_, str, [u8]> = FutureRecord::to(late.unwrap_or(way.topic.as_str())).headers(headers);
    if let Some(payload) = &payload {
        record = record.payload(payload);
    }
    if let Some(key) = &key {
        record = record.key(key);
    }
    let sent = producer.send_result(record).map_err(|(error, _)| fault(OPERATION, error))?;
    Ok((sent, late.is_some()))
}
