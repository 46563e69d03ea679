//! The pull: asks the server for as many messages as there is room for, and takes them in.
//!
//! One task per member. An outage ends what was asked for: after each new connection, or when the server
//! falls silent, the consumer is looked after and asked anew.

use std::sync::Arc;

use super::config::Config;
use super::consumers::Consumer;
use super::desk::Seat;
use super::server::{OUTAGE, Server};
use crate::dial::nats::{self, Heard};
use crate::fault::{Fault, FaultKind};
use crate::task::{self, Shutdown};

/// Messages that are asked for and not handed out, at most: what a stopped reader costs in memory, beside
/// the bytes of at most [`SHARE`] requests.
const WINDOW: usize = 1024;
/// A request is worth sending when this share of the window is free, or nothing else is asked for.
const SHARE: usize = 4;

pub(super) struct Pull {
    pub server: Server,
    pub config: Arc<Config>,
    pub consumer: Consumer,
    pub seat: Arc<Seat>,
    /// What may be held, handed out or not.
    pub max: usize,
    pub requests: nats::Pull,
    /// Requested when the member leaves, and with the bus's end.
    pub gone: Shutdown,
    pub failures: u32,
}

impl Pull {
    /// Runs until the member is gone, then gives back what was not settled.
    pub(super) async fn run(mut self) -> Result<(), Fault> {
        let gone = self.gone.clone();
        let mut connections = self.server.told.connections();
        loop {
            self.ask().await;
            tokio::select! {
                biased;
                () = gone.requested() => break,
                heard = self.requests.next() => {
                    let Some(heard) = heard else { break };
                    let trouble = self.take_all(heard);
                    if trouble && !self.recover(&gone).await {
                        break;
                    }
                }
                () = self.seat.freed.notified() => {}
                changed = connections.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.requests.forget();
                }
            }
        }
        self.leave().await;
        Ok(())
    }

    /// Asks for what there is room for.
    async fn ask(&mut self) {
        let (held, ready) = self.seat.count();
        let window = self.max.min(WINDOW);
        let room = self.max.saturating_sub(held).min(window.saturating_sub(ready));
        if self.server.connected("pull").is_ok() {
            self.requests.ask(room, window.div_ceil(SHARE)).await;
        }
    }

    /// Takes what came, and all that wait behind it; true when something is wrong with the consumer.
    fn take_all(&mut self, first: Heard) -> bool {
        let mut trouble = self.take(first);
        while let Some(heard) = self.requests.ready() {
            trouble |= self.take(heard);
        }
        self.seat.filled.notify_one();
        trouble
    }

    fn take(&mut self, heard: Heard) -> bool {
        match heard {
            Heard::Delivery(delivery) => {
                self.failures = 0;
                self.seat.take(*delivery);
                false
            }
            Heard::Status => false,
            Heard::Trouble => true,
        }
    }

    /// Waits a little and makes sure that the consumer is there; false when it cannot go on.
    async fn recover(&mut self, gone: &Shutdown) -> bool {
        self.failures += 1;
        tokio::select! {
            () = gone.requested() => return true,
            () = task::sleep(OUTAGE.pause(self.failures)) => {}
        }
        let ensured = tokio::select! {
            () = gone.requested() => return true,
            ensured = self.consumer.ensure(&self.server, &self.config) => ensured,
        };
        match ensured {
            Err(fault) if matches!(fault.kind(), FaultKind::Denied | FaultKind::Rejected) => {
                self.seat.fail(fault);
                false
            }
            Err(fault) => {
                tracing::debug!(error = %fault.chain(), "the consumer cannot be had yet");
                true
            }
            Ok(()) => true,
        }
    }

    /// Gives everything back, with what is still on its way.
    async fn leave(self) {
        let Self { requests, seat, .. } = self;
        requests.leave(|delivery| seat.take(delivery)).await;
        seat.release();
    }
}
