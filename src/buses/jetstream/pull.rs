//! The pull: asks the server for as many messages as there is room for, and takes them in.
//!
//! One task per member. It asks for exactly what is free, so that members share and a slow one is
//! not handed what it cannot work on. An outage ends what was asked for: after each new connection,
//! or when the server falls silent, it is asked for anew.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use super::config::Config;
use super::consumers::Consumer;
use super::desk::Seat;
use super::server::{OUTAGE, Server};
use crate::fault::{Fault, FaultKind};
use crate::task::{self, Shutdown};

/// Messages that are asked for and not handed out, at most: what a stopped reader costs in memory.
const WINDOW: usize = 1024;
/// The same in bytes, for each of at most [`SHARE`] requests.
const WINDOW_BYTES: usize = 16 << 20;
/// A request is worth sending when this share of the window is free, or nothing else is asked for.
const SHARE: usize = 4;
/// How long a request stays open on the server.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server shows that a request is still open.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// When it is taken to be lost.
const SILENCE: Duration = Duration::from_secs(12);
/// For messages that are on their way when the member leaves.
const LEAVING: Duration = Duration::from_secs(2);

/// One message as the server delivered it.
#[derive(Debug)]
pub(super) struct Delivery {
    pub sequence: u64,
    /// 1 for the first delivery.
    pub attempt: u32,
    /// When the server took it in, nanoseconds since 1970.
    pub published: i128,
    pub message: Message,
}

impl Delivery {
    /// Reads what the reply subject tells: `$JS.ACK.[domain.account.]stream.consumer.delivered.
    /// sequence.consumer-sequence.time.pending[.token]`. `None` for what is no delivery.
    pub(super) fn read(message: Message) -> Option<Self> {
        let reply = message.reply.as_ref()?.as_str().strip_prefix("$JS.ACK.")?;
        let skip = if reply.split('.').count() >= 9 { 4 } else { 2 };
        let mut rest = reply.split('.').skip(skip);
        let attempt = rest.next()?.parse().ok()?;
        let sequence = rest.next()?.parse().ok()?;
        let published = rest.nth(1)?.parse().ok()?;
        Some(Self { sequence, attempt, published, message })
    }
}

pub(super) struct Pull {
    pub server: Server,
    pub config: Arc<Config>,
    pub consumer: Consumer,
    pub seat: Arc<Seat>,
    /// What may be held, handed out or not.
    pub max: usize,
    pub inbox: String,
    pub incoming: Subscriber,
    /// Requested when the member leaves, and with the bus's end.
    pub gone: Shutdown,
    /// Asked for and not delivered yet.
    pub outstanding: usize,
    pub requests: u64,
    pub failures: u32,
}

impl Pull {
    /// Runs until the member is gone, then gives back what was not settled.
    pub(super) async fn run(mut self) -> Result<(), Fault> {
        let gone = self.gone.clone();
        let mut connections = self.server.told.connections();
        let mut heard = task::stopwatch();
        loop {
            self.ask().await;
            tokio::select! {
                biased;
                () = gone.requested() => break,
                message = self.incoming.next() => {
                    let Some(message) = message else { break };
                    heard = task::stopwatch();
                    let trouble = self.take_all(message);
                    if trouble && !self.recover(&gone).await {
                        break;
                    }
                }
                () = self.seat.freed.notified() => {}
                changed = connections.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.outstanding = 0;
                }
                () = task::sleep(SILENCE.saturating_sub(heard())), if self.outstanding > 0 => {
                    heard = task::stopwatch();
                    self.outstanding = 0;
                    if !self.recover(&gone).await {
                        break;
                    }
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
        let room = self.max.saturating_sub(held).min(window.saturating_sub(ready)).saturating_sub(self.outstanding);
        if room == 0
            || (self.outstanding > 0 && room < window.div_ceil(SHARE))
            || self.server.connected("pull").is_err()
        {
            return;
        }
        let request = json!({
            "batch": room,
            "max_bytes": WINDOW_BYTES.max(2 * self.server.client.max_payload()),
            "expires": u64::try_from(EXPIRES.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
        });
        self.requests += 1;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.consumer.stream, self.consumer.name);
        let reply = format!("{}.{}", self.inbox, self.requests);
        match self.server.client.publish_with_reply(subject, reply, request.to_string().into()).await {
            Ok(()) => self.outstanding += room,
            Err(error) => tracing::debug!(error = %error, "cannot ask for messages"),
        }
    }

    /// Takes a message, and all that wait behind it; true when something is wrong with the consumer.
    fn take_all(&mut self, first: Message) -> bool {
        let mut trouble = self.take(first);
        while let Some(Some(message)) = self.incoming.next().now_or_never() {
            trouble |= self.take(message);
        }
        self.seat.filled.notify_one();
        trouble
    }

    fn take(&mut self, message: Message) -> bool {
        let Some(status) = message.status else {
            self.outstanding = self.outstanding.saturating_sub(1);
            self.failures = 0;
            if let Some(delivery) = Delivery::read(message) {
                self.seat.take(delivery);
            }
            return false;
        };
        let pending = message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
        let pending: Option<usize> = pending.and_then(|pending| pending.as_str().parse().ok());
        match (status.as_u16(), pending) {
            (100, _) => false,
            // The request is over, with so many messages missing.
            (_, Some(pending)) => {
                self.outstanding = self.outstanding.saturating_sub(pending);
                false
            }
            // Nobody to ask, no such consumer, no leader, too many requests.
            (_, None) => {
                self.outstanding = 0;
                tracing::debug!(%status, reason = message.description.as_deref(), "a request for messages ended");
                true
            }
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

    /// Takes what is still on its way, so that the server need not wait for its time to run out, and
    /// gives everything back.
    async fn leave(mut self) {
        let rest = async {
            if self.incoming.drain().await.is_ok() {
                while let Some(message) = self.incoming.next().await {
                    self.take(message);
                }
            }
        };
        if task::within(LEAVING, rest).await.is_none() {
            tracing::debug!("what was on its way to a leaving member comes again later");
        }
        // Telling about a consumer, the server forgets requests that nobody listens for. One that is left
        // would put the first message that is given back behind the others.
        let asked = format!("$JS.API.CONSUMER.INFO.{}.{}", self.consumer.stream, self.consumer.name);
        let told = task::within(LEAVING, self.server.client.request(asked, "".into())).await;
        if !matches!(told, Some(Ok(_))) {
            tracing::debug!("what is given back may come in another order");
        }
        self.seat.release();
    }
}
