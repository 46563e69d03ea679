//! Asking a durable pull consumer of `JetStream` for messages.
//!
//! It is asked for exactly what there is room for, so that readers share and a slow one is not handed what
//! it cannot work on. What was asked for ends with the connection, or when the server falls silent: it is
//! asked for anew then.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Message, Subscriber};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use crate::fault::{Fault, FaultKind};
use crate::task;

/// Bytes that one request may bring, unless one message is larger.
const REQUEST_BYTES: usize = 16 << 20;
/// How long a request stays open on the server.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server shows that a request is still open.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// When it is taken to be lost.
const SILENCE: Duration = Duration::from_secs(12);
/// For messages that are on their way when the reader leaves.
const LEAVING: Duration = Duration::from_secs(2);

/// One message as the server delivered it.
#[derive(Debug)]
pub struct Delivery {
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
    pub fn read(message: Message) -> Option<Self> {
        let reply = message.reply.as_ref()?.as_str().strip_prefix("$JS.ACK.")?;
        let skip = if reply.split('.').count() >= 9 { 4 } else { 2 };
        let mut rest = reply.split('.').skip(skip);
        let attempt = rest.next()?.parse().ok()?;
        let sequence = rest.next()?.parse().ok()?;
        let published = rest.nth(1)?.parse().ok()?;
        Some(Self { sequence, attempt, published, message })
    }
}

/// What came in.
#[derive(Debug)]
pub enum Heard {
    Delivery(Box<Delivery>),
    /// Nothing to act on.
    Status,
    /// Nobody to ask, no such consumer, no leader: look after the consumer before asking on.
    Trouble,
}

/// One reader of one consumer.
#[derive(Debug)]
pub struct Pull {
    client: Client,
    stream: String,
    consumer: String,
    inbox: String,
    incoming: Subscriber,
    /// Asked for and not delivered yet.
    outstanding: usize,
    requests: u64,
}

impl Pull {
    /// # Errors
    /// When nothing can be subscribed to.
    pub async fn new(client: Client, stream: String, consumer: String) -> Result<Self, Fault> {
        let inbox = client.new_inbox();
        let incoming = client.subscribe(format!("{inbox}.*")).await.map_err(|error| {
            Fault::new(FaultKind::Unavailable, "subscribe", "no inbox can be had").with_source(error)
        })?;
        Ok(Self { client, stream, consumer, inbox, incoming, outstanding: 0, requests: 0 })
    }

    /// Asks for what there is room for beyond what was asked for, when that is at least `worth` or nothing
    /// else is asked for. Does nothing without a connection.
    pub async fn ask(&mut self, room: usize, worth: usize) {
        let room = room.saturating_sub(self.outstanding);
        let connected = self.client.connection_state() == State::Connected;
        if room == 0 || (self.outstanding > 0 && room < worth) || !connected {
            return;
        }
        let request = json!({
            "batch": room,
            "max_bytes": REQUEST_BYTES.max(2 * self.client.max_payload()),
            "expires": u64::try_from(EXPIRES.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
        });
        self.requests += 1;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stream, self.consumer);
        let reply = format!("{}.{}", self.inbox, self.requests);
        match self.client.publish_with_reply(subject, reply, request.to_string().into()).await {
            Ok(()) => self.outstanding += room,
            Err(error) => tracing::debug!(error = %error, "cannot ask for messages"),
        }
    }

    /// What was asked for ended with its connection.
    pub fn forget(&mut self) {
        self.outstanding = 0;
    }

    /// Waits for what comes next; `Trouble` when the server falls silent, `None` when the client is closed.
    /// Cancel-safe, and measures the silence anew each time.
    pub async fn next(&mut self) -> Option<Heard> {
        tokio::select! {
            biased;
            message = self.incoming.next() => message.map(|message| self.read(message)),
            () = task::sleep(SILENCE), if self.outstanding > 0 => {
                self.forget();
                Some(Heard::Trouble)
            }
        }
    }

    /// What has come already.
    pub fn ready(&mut self) -> Option<Heard> {
        self.incoming.next().now_or_never().flatten().map(|message| self.read(message))
    }

    fn read(&mut self, message: Message) -> Heard {
        let Some(status) = message.status else {
            self.outstanding = self.outstanding.saturating_sub(1);
            return Delivery::read(message).map_or(Heard::Status, |delivery| Heard::Delivery(Box::new(delivery)));
        };
        let pending = message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
        let pending: Option<usize> = pending.and_then(|pending| pending.as_str().parse().ok());
        match (status.as_u16(), pending) {
            (100, _) => Heard::Status,
            // The request is over, with so many messages missing.
            (_, Some(pending)) => {
                self.outstanding = self.outstanding.saturating_sub(pending);
                Heard::Status
            }
            // Nobody to ask, no such consumer, no leader, too many requests.
            (_, None) => {
                self.forget();
                tracing::debug!(%status, reason = message.description.as_deref(), "a request for messages ended");
                Heard::Trouble
            }
        }
    }

    /// Leaves; hands what is still on its way to `take`, so that the server need not wait for its time to run
    /// out. What was taken must be given back by the caller.
    pub async fn leave(mut self, mut take: impl FnMut(Delivery)) {
        let rest = async {
            if self.incoming.drain().await.is_ok() {
                while let Some(message) = self.incoming.next().await {
                    if let Heard::Delivery(delivery) = self.read(message) {
                        take(*delivery);
                    }
                }
            }
        };
        if task::within(LEAVING, rest).await.is_none() {
            tracing::debug!("what was on its way to a leaving reader comes again later");
        }
        // Telling about a consumer, the server forgets requests that nobody listens for. One that is left
        // would put the first message that is given back behind the others.
        let asked = format!("$JS.API.CONSUMER.INFO.{}.{}", self.stream, self.consumer);
        let told = task::within(LEAVING, self.client.request(asked, "".into())).await;
        if !matches!(told, Some(Ok(_))) {
            tracing::debug!("what is given back may come in another order");
        }
    }
}
