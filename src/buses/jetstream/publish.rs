//! Publishing: everything is sent first, then every acknowledgement is awaited.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::server::unpublished;
use super::{Jetstream, config, delayed, message, names};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Deduplicate, Outgoing, Published, Topic};

const OPERATION: &str = "publish";
/// The header under which the server recognises what it already has.
pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";

/// One event as it is sent.
struct Message {
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
    delayed: bool,
}

impl Jetstream {
    /// The largest event taken: one that needs structured mode fits into a message, too.
    pub(super) fn max_event_bytes(&self) -> usize {
        self.server.client.max_payload().saturating_sub(message::HEADROOM)
    }

    pub(super) async fn publish_all(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        if let Err(fault) = self.server.connected(OPERATION) {
            return vec![Err(fault); batch.len()];
        }
        // One time for all, so that equal delays end in order.
        let now = self.clock.now();
        let subject = names::subject(&self.stream, topic);
        let mut sent = Vec::with_capacity(batch.len());
        for outgoing in batch {
            let message = self.message(topic, &subject, outgoing, now);
            sent.push(match message {
                Ok(message) => {
                    let delayed = message.delayed;
                    let Message { subject, headers, payload, .. } = message;
                    let publish = PublishMessage::build().headers(headers).payload(payload);
                    Ok((delayed, self.server.context.send_publish(subject, publish).await))
                }
                Err(fault) => Err(fault),
            });
        }
        join_all(sent.into_iter().map(async |sent| match sent {
            Ok((delayed, sent)) => self.answer(&subject, delayed, acknowledged(sent).await),
            Err(fault) => Err(fault),
        }))
        .await
    }

    fn message(&self, topic: &Topic, subject: &str, outgoing: Outgoing, now: Timestamp) -> Result<Message, Fault> {
        let Outgoing { event, delay, mut deduplicate } = outgoing;
        let max = self.max_event_bytes();
        if event.record().len() > max {
            let message = format!("the event has {} bytes, at most {max} are taken", event.record().len());
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, message).with_context("topic", topic.as_str()));
        }
        if self.config.keep.dedup_window.is_zero() {
            deduplicate = Deduplicate::Never;
        }
        let (mut headers, payload) = message::write(&event, self.server.client.max_payload());
        if let Some(id) = names::message_id(topic, &event, deduplicate) {
            headers.insert(MESSAGE_ID, id);
        }
        match delay.filter(|delay| !delay.is_zero()) {
            None => Ok(Message { subject: subject.to_owned(), headers, payload, delayed: false }),
            Some(delay) => {
                delayed::mark(&mut headers, due(now, delay));
                let subject = names::subject(&config::names::delayed_stream(&self.stream), topic);
                Ok(Message { subject, headers, payload, delayed: true })
            }
        }
    }

    fn answer(&self, subject: &str, delayed: bool, ack: Result<PublishAck, PublishError>) -> Result<Published, Fault> {
        match ack {
            Ok(PublishAck { duplicate: true, .. }) => Ok(Published::Duplicate),
            Ok(_) if delayed => Ok(Published::Delayed),
            Ok(PublishAck { sequence, .. }) => Ok(Published::At(message::position(sequence))),
            Err(_) if self.server.closed.is_requested() => Err(Self::closed(OPERATION)),
            Err(error) => Err(unpublished(OPERATION, &self.server.told, subject, error)),
        }
    }
}

async fn acknowledged(sent: Result<PublishAckFuture, PublishError>) -> Result<PublishAck, PublishError> {
    sent?.await
}

fn due(now: Timestamp, delay: Duration) -> Timestamp {
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}
