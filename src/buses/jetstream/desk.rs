//! The desk: sends what became of messages, and keeps those in work from being handed out again.
//!
//! Receipts are settled in `Drop`, which cannot wait: they leave a word here, and one task sends it.
//! What waits is bounded by what members hold.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::AckKind;
use tokio::sync::Notify;

use super::server::Server;
use crate::dial::nats::Delivery;
use crate::fault::{Fault, Retry};
use crate::flow::{Settle, Verdict};
use crate::task::{self, Backoff, Shutdown};

/// How many signs of progress fit into the time that the server waits: two may be lost.
const SIGNS: u32 = 3;

/// The pauses of an event whose fault names none: short, because delivery paces its own attempts.
const REDELIVERY: Backoff =
    Backoff { base: Duration::from_millis(200), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(30) };

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where words wait to be sent.
pub(super) struct Desk {
    words: Mutex<VecDeque<(Subject, AckKind)>>,
    seats: Mutex<Vec<Weak<Seat>>>,
    wake: Notify,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self { words: Mutex::default(), seats: Mutex::default(), wake: Notify::new() }
    }

    /// A seat whose messages are kept from being handed out again until they are settled.
    pub(super) fn seat(self: &Arc<Self>) -> Arc<Seat> {
        let seat = Arc::new(Seat {
            desk: self.clone(),
            held: Mutex::default(),
            ready: Mutex::default(),
            freed: Notify::new(),
            filled: Notify::new(),
            failed: Mutex::default(),
        });
        let mut seats = lock(&self.seats);
        seats.retain(|seat| seat.strong_count() > 0);
        seats.push(Arc::downgrade(&seat));
        seat
    }

    fn say(&self, reply: Subject, word: AckKind) {
        lock(&self.words).push_back((reply, word));
        self.wake.notify_one();
    }

    /// Sends words until `stop`, and then those that are left.
    pub(super) async fn run(self: Arc<Self>, server: Server, ack_wait: Duration, stop: Shutdown) -> Result<(), Fault> {
        let pause = ack_wait / SIGNS;
        let mut elapsed = task::stopwatch();
        loop {
            self.send(&server).await;
            if elapsed() >= pause {
                elapsed = task::stopwatch();
                self.progress(&server).await;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = task::sleep(pause.saturating_sub(elapsed())) => {}
                () = stop.requested() => break,
            }
        }
        self.send(&server).await;
        Ok(())
    }

    async fn send(&self, server: &Server) {
        loop {
            let Some((reply, word)) = lock(&self.words).pop_front() else { return };
            // In an outage this waits. A word that is lost costs a second delivery, no event.
            if let Err(error) = server.client.publish(reply, word.into()).await {
                tracing::debug!(error = %error, "an acknowledgement could not be sent");
            }
        }
    }

    async fn progress(&self, server: &Server) {
        let seats: Vec<Arc<Seat>> = lock(&self.seats).iter().filter_map(Weak::upgrade).collect();
        for seat in seats {
            let held: Vec<Subject> = lock(&seat.held).values().map(|held| held.reply.clone()).collect();
            for reply in held {
                if let Err(error) = server.client.publish(reply, AckKind::Progress.into()).await {
                    tracing::debug!(error = %error, "a sign of progress could not be sent");
                }
            }
        }
    }
}

/// What was delivered and is not settled.
pub(super) struct Held {
    reply: Subject,
    attempt: u32,
}

/// One member, as its receipts know it.
pub(super) struct Seat {
    desk: Arc<Desk>,
    /// By sequence in the stream.
    held: Mutex<BTreeMap<u64, Held>>,
    /// Of the held ones, those that were not handed out yet.
    ready: Mutex<VecDeque<Delivery>>,
    /// Something was settled, so there is room.
    pub freed: Notify,
    /// Something is ready, or it is over.
    pub filled: Notify,
    /// Why it is over before the bus is closed.
    failed: Mutex<Option<Fault>>,
}

impl Seat {
    /// Takes a delivery in. One that is held already came again because its time ran out: what is in
    /// work stays in work, under the newer delivery.
    pub(super) fn take(&self, delivery: Delivery) {
        let Some(reply) = delivery.message.reply.clone() else { return };
        let held = Held { reply, attempt: delivery.attempt };
        if lock(&self.held).insert(delivery.sequence, held).is_none() {
            lock(&self.ready).push_back(delivery);
        }
    }

    /// How many are held, and how many of these are ready.
    pub(super) fn count(&self) -> (usize, usize) {
        let ready = lock(&self.ready).len();
        (lock(&self.held).len().max(ready), ready)
    }

    /// Takes what is ready, so that at most `max` are handed out.
    pub(super) fn ready(&self, max: usize) -> Vec<Delivery> {
        let (held, waiting) = self.count();
        let room = max.saturating_sub(held - waiting);
        let mut ready = lock(&self.ready);
        let count = ready.len().min(room);
        ready.drain(..count).collect()
    }

    /// Sends what became of one message; once: what is not held any more has been settled.
    pub(super) fn say(&self, sequence: u64, word: impl FnOnce(u32) -> AckKind) {
        let held = lock(&self.held).remove(&sequence);
        if let Some(Held { reply, attempt }) = held {
            self.desk.say(reply, word(attempt));
            self.freed.notify_one();
        }
    }

    /// Gives everything back, in order. Receipts that are still out say nothing that counts.
    pub(super) fn release(&self) {
        lock(&self.ready).clear();
        let held = std::mem::take(&mut *lock(&self.held));
        for Held { reply, .. } in held.into_values() {
            self.desk.say(reply, AckKind::Nak(None));
        }
        self.filled.notify_one();
    }

    pub(super) fn fail(&self, fault: Fault) {
        *lock(&self.failed) = Some(fault);
        self.filled.notify_one();
    }

    pub(super) fn failed(&self) -> Option<Fault> {
        lock(&self.failed).clone()
    }
}

impl Settle for Seat {
    fn settle(&self, token: u64, verdict: Verdict) {
        self.say(token, |attempt| match verdict {
            Verdict::Ack => AckKind::Ack,
            Verdict::Dropped => AckKind::Nak(None),
            Verdict::Nack(fault) => {
                let pause = match fault.retry() {
                    Retry::After(pause) => pause,
                    Retry::Backoff | Retry::Never => REDELIVERY.pause(attempt),
                };
                AckKind::Nak((!pause.is_zero()).then_some(pause))
            }
        });
    }
}
