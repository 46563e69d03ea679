//! A reader of a topic, apart from its groups: a consumer that acknowledges nothing and goes with its reader.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::{ErrorCode, Message};
use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::watch;

use super::message;
use super::server::{OUTAGE, Server, refused};
use crate::dial::nats::Delivery;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, End, Read};
use crate::task;

/// Messages that are on their way to a reader at once, at most: each may be as large as the server takes.
const EVENTS: i64 = 64;

/// A message that was given its time this long ago has been stored on all replicas that store it.
const SETTLE: SignedDuration = SignedDuration::from_millis(500);

/// For the server to make a consumer.
const PATIENCE: Duration = Duration::from_secs(5);

const READ: &str = "read a topic";
const FIND_END: &str = "look for the end of a topic";
const COUNT: &str = "count what is behind a position";

/// A consumer that only counts goes after this long, should it not be deleted.
const COUNTER_LIFE: Duration = Duration::from_secs(5);

pub(super) struct Reader {
    pub server: Server,
    pub stream: String,
    pub subject: String,
    /// Where it begins when it has no place yet.
    pub start: DeliverPolicy,
    /// The sequence of what was read last.
    pub last: Option<u64>,
    /// Tells of each new connection: the server may have forgotten the consumer.
    pub connections: watch::Receiver<u64>,
    pub messages: Option<Box<Ordered>>,
}

impl Reader {
    /// Makes a consumer that goes on behind what was read last.
    async fn open(&mut self) -> Result<Ordered, Fault> {
        let fault = |error: &dyn std::fmt::Display| Fault::new(FaultKind::Unavailable, READ, error.to_string());
        let deliver_policy = match self.last {
            Some(last) => DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
            None => self.start,
        };
        let config = OrderedConfig {
            description: Some("A Penstock reader that joins events".to_owned()),
            filter_subject: self.subject.clone(),
            deliver_policy,
            replay_policy: ReplayPolicy::Instant,
            max_batch: EVENTS,
            ..OrderedConfig::default()
        };
        let opening = async {
            let made = self.server.context.create_consumer_on_stream(config, &self.stream).await;
            made.map_err(|error| fault(&error))?.messages().await.map_err(|error| fault(&error))
        };
        let late = || Fault::new(FaultKind::Timeout, READ, "the server does not answer");
        task::within(PATIENCE, opening).await.ok_or_else(late)?
    }

    /// Messages, at least one, as they come; none when the consumer has to be made anew.
    async fn take(messages: &mut Ordered) -> Vec<Message> {
        let mut taken = Vec::new();
        match messages.next().await {
            Some(Ok(message)) => taken.push(message),
            Some(Err(error)) => tracing::debug!(%error, "a reader has to begin anew"),
            None => {}
        }
        while !taken.is_empty()
            && let Some(Some(Ok(message))) = messages.next().now_or_never()
        {
            taken.push(message);
        }
        taken
    }

    fn read(&mut self, message: Message) -> Option<Read> {
        let delivery = Delivery::read(message.message)?;
        // A consumer that was made anew may begin with what is known already.
        if self.last.is_some_and(|last| delivery.sequence <= last) {
            return None;
        }
        self.last = Some(delivery.sequence);
        let (position, appended) = (message::position(delivery.sequence), message::time(delivery.published));
        Some(Read { event: message::read(delivery, &self.stream), position, appended })
    }
}

#[async_trait]
impl flow::Reader for Reader {
    async fn next(&mut self) -> Result<Vec<Read>, Fault> {
        let mut failures = 0;
        loop {
            if self.server.closed.is_requested() {
                return Ok(Vec::new());
            }
            if self.messages.is_none() {
                match self.open().await {
                    Ok(messages) => self.messages = Some(Box::new(messages)),
                    Err(fault) => {
                        failures += 1;
                        tracing::debug!(error = %fault.chain(), subject = self.subject, "no reader can be had yet");
                        tokio::select! {
                            () = self.server.closed.requested() => {}
                            () = task::sleep(OUTAGE.pause(failures)) => {}
                        }
                        continue;
                    }
                }
            }
            let Some(messages) = &mut self.messages else { continue };
            let taken = tokio::select! {
                () = self.server.closed.requested() => return Ok(Vec::new()),
                _ = self.connections.changed() => Vec::new(),
                // Nothing is taken out before it is returned.
                taken = Self::take(messages) => taken,
            };
            if taken.is_empty() {
                self.messages = None;
            }
            let read: Vec<Read> = taken.into_iter().filter_map(|message| self.read(message)).collect();
            if !read.is_empty() {
                return Ok(read);
            }
        }
    }
}

#[derive(Deserialize)]
struct Raw {
    message: RawMessage,
}

#[derive(Deserialize)]
struct RawMessage {
    seq: u64,
}

/// A consumer that was just made, and has all before it.
#[derive(Deserialize)]
struct Counter {
    name: String,
    num_pending: u64,
}

/// Where a topic ends.
pub(super) async fn end(server: &Server, stream: &str, subject: &str) -> Result<End, Fault> {
    let info = server.call::<Json>(FIND_END, &format!("STREAM.INFO.{stream}"), &json!({})).await?;
    let info = info.map_err(|error| refused(FIND_END, &error))?;
    let moment = |value: &Json| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    // No message is given the time of the last one, or an earlier one; and what was on its way to the disk a while
    // ago is there.
    let last = moment(&info["state"]["last_ts"]).filter(|_| info["state"]["last_seq"].as_u64() > Some(0));
    let last = last.and_then(|last| last.checked_add(SignedDuration::from_nanos(1)).ok());
    let now = moment(&info["ts"]).and_then(|now| now.checked_sub(SETTLE).ok());
    let time = last.into_iter().chain(now).max().unwrap_or(Timestamp::MIN);
    // After that: what came meanwhile is later, and does no harm.
    let api = format!("STREAM.MSG.GET.{stream}");
    let position = match server.call::<Raw>(FIND_END, &api, &json!({"last_by_subj": subject})).await? {
        Ok(Raw { message }) => Some(message::position(message.seq)),
        Err(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => None,
        Err(error) => return Err(refused(FIND_END, &error)),
    };
    Ok(End { position, time })
}

/// How many messages of a subject stand behind a sequence: a consumer that reads nothing is told, and goes.
pub(super) async fn behind(server: &Server, stream: &str, subject: &str, after: Option<u64>) -> Result<u64, Fault> {
    let mut config = json!({
        "filter_subject": subject, "ack_policy": "none", "mem_storage": true, "num_replicas": 1,
        "inactive_threshold": COUNTER_LIFE.as_nanos(), "deliver_policy": "all",
    });
    if let Some(after) = after {
        config["deliver_policy"] = "by_start_sequence".into();
        config["opt_start_seq"] = (after + 1).into();
    }
    let request = json!({"stream_name": stream, "config": config});
    let made = server.call::<Counter>(COUNT, &format!("CONSUMER.CREATE.{stream}"), &request).await?;
    let Counter { name, num_pending } = made.map_err(|error| refused(COUNT, &error))?;
    let gone = server.call::<Json>(COUNT, &format!("CONSUMER.DELETE.{stream}.{name}"), &json!({})).await;
    if let Err(fault) = gone.and_then(|gone| gone.map_err(|error| refused(COUNT, &error))) {
        tracing::debug!(fault = fault.chain(), "a consumer that counted goes by itself");
    }
    Ok(num_pending)
}
