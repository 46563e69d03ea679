//! Delayed delivery: events wait in a work queue beside the stream and are moved when they are due.
//!
//! The moment stands in a header. One durable consumer, shared by all processes of the bus, is handed
//! every waiting event once; it gives back what is not due for almost as long as that takes, and keeps it
//! in order for the rest. So the server keeps both the event and the time, whoever restarts. (Its own
//! scheduled messages work by the second, and one subject holds one of them.)
//!
//! A moved event keeps its `Nats-Msg-Id`, or gets one of its place in the queue: when a mover dies
//! between the two steps, the second copy is recognised.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::PublishMessage;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::json;

use super::config::names::{MOVER, delayed_stream};
use super::consumers::Consumer;
use super::desk::Seat;
use super::names;
use super::publish::MESSAGE_ID;
use super::server::Server;
use crate::dial::nats::Delivery;
use crate::fault::Fault;
use crate::task::{self, Clock, Shutdown};

/// When the event is due, RFC 3339.
const DUE: &str = "Penstock-Due";
/// Events that are looked at and not given back or moved yet, at most.
pub(super) const MAX_MOVING: usize = 512;
/// How long before it is due an event is asked back: those of about one moment come in any order, and leave in theirs.
const EARLY: Duration = Duration::from_millis(100);
/// The pause after the stream did not take an event.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) fn mark(headers: &mut HeaderMap, due: Timestamp) {
    headers.insert(DUE, due.to_string());
}

pub(super) fn consumer(stream: &str) -> Consumer {
    let queue = delayed_stream(stream);
    let filter = names::subjects(&queue);
    Consumer { stream: queue, name: MOVER.to_owned(), filter, start: json!({"deliver_policy": "all"}) }
}

/// Moves what is due, in the order of the moments, until the bus is closed.
pub(super) async fn run(
    server: Server,
    stream: Arc<str>,
    seat: Arc<Seat>,
    clock: Clock,
    gone: Shutdown,
) -> Result<(), Fault> {
    let mut soon = BTreeMap::new();
    loop {
        let now = clock.now();
        for delivery in seat.ready(MAX_MOVING) {
            let due = due(&delivery);
            match left(due, now).checked_sub(EARLY) {
                Some(pause) if !pause.is_zero() => seat.say(delivery.sequence, |_| AckKind::Nak(Some(pause))),
                _ => {
                    soon.insert((due, delivery.sequence), delivery);
                }
            }
        }
        let later = soon.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut soon, later);
        if !due.is_empty() {
            move_all(&server, &stream, &seat, due.into_values()).await;
            continue;
        }
        if let Some(fault) = seat.failed() {
            tracing::error!(error = %fault.chain(), "delayed events are not moved any more");
            return Ok(());
        }
        let next = soon.keys().next().map(|(due, _)| left(*due, now));
        tokio::select! {
            () = seat.filled.notified() => {}
            () = task::sleep(next.unwrap_or_default()), if next.is_some() => {}
            () = gone.requested() => return Ok(()),
        }
    }
}

/// When the event is due: at once, when it does not say.
fn due(delivery: &Delivery) -> Timestamp {
    let due = delivery.message.headers.as_ref().and_then(|headers| headers.get(DUE));
    due.and_then(|due| due.as_str().parse().ok()).unwrap_or(Timestamp::MIN)
}

fn left(due: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now)).unwrap_or_default()
}

async fn move_all(server: &Server, stream: &str, seat: &Seat, due: impl Iterator<Item = Delivery>) {
    let mut moving = Vec::new();
    for delivery in due {
        let Delivery { sequence, message, .. } = delivery;
        let queue = delayed_stream(stream);
        let topic = message.subject.as_str().strip_prefix(queue.as_str()).unwrap_or_default();
        let subject = format!("{stream}{topic}");
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
            let name: &str = name.as_ref();
            if name != DUE {
                for value in values {
                    headers.append(name, value.clone());
                }
            }
        }
        if headers.get(MESSAGE_ID).is_none() {
            headers.insert(MESSAGE_ID, format!("{MOVER}-{sequence}"));
        }
        let publish = PublishMessage::build().headers(headers).payload(message.payload);
        moving.push((sequence, server.context.send_publish(subject, publish).await));
    }
    join_all(moving.into_iter().map(async |(sequence, sent)| {
        let moved = async { sent?.await }.await;
        let word = match moved {
            Ok(_) => AckKind::Ack,
            Err(error) => {
                tracing::debug!(error = %error, "a delayed event could not be moved yet");
                AckKind::Nak(Some(AGAIN))
            }
        };
        seat.say(sequence, |_| word);
    }))
    .await;
}
