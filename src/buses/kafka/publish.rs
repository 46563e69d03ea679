//! Publishing: a batch is handed to the client at once, and each event is answered for when every replica
//! has it.

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;

use super::cluster::Cluster;
use super::message;
use super::topics::Topics;
use crate::dial::kafka::fault;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Outgoing, Published, Topic};

pub(super) const OPERATION: &str = "publish";

/// Publishes a batch; the answers are in its order.
pub(super) async fn publish(
    cluster: &Cluster,
    topics: &Topics,
    topic: &Topic,
    batch: &[Outgoing],
) -> Vec<Result<Published, Fault>> {
    let max = cluster.max_event_bytes();
    let producer = cluster.producer();
    let mut full: Option<Fault> = None;
    let mut sending = Vec::with_capacity(batch.len());
    for Outgoing { event, delay, .. } in batch {
        let size = event.record().len();
        if size > max {
            let message = format!("the event has {size} bytes, at most {max} are taken");
            sending
                .push(Err(Fault::new(FaultKind::TooLarge, OPERATION, message).with_context("topic", topic.as_str())));
            continue;
        }
        if delay.is_some_and(|delay| !delay.is_zero()) {
            let message = "a bus on Kafka delivers nothing later";
            sending.push(Err(Fault::new(FaultKind::Unsupported, OPERATION, message)));
            continue;
        }
        // What comes after one that found no room would overtake it.
        if let Some(full) = &full {
            sending.push(Err(full.clone()));
            continue;
        }
        let mut headers = OwnedHeaders::new();
        let payload = message::write(event, |name, value| {
            headers = std::mem::take(&mut headers).insert(Header { key: name, value: Some(value) });
        });
        let key = message::key(event);
        let mut record: FutureRecord<'_, str, [u8]> = FutureRecord::to(topic.as_str()).headers(headers);
        if let Some(payload) = &payload {
            record = record.payload(payload);
        }
        if let Some(key) = &key {
            record = record.key(key);
        }
        sending.push(producer.send_result(record).map_err(|(error, _)| {
            let fault = fault(OPERATION, error);
            if fault.kind() == FaultKind::Throttled {
                full = Some(fault.clone());
            }
            fault
        }));
    }
    let mut answers = Vec::with_capacity(batch.len());
    for sent in sending {
        let answer = match sent {
            Err(fault) => Err(fault),
            Ok(delivery) => match delivery.await {
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
