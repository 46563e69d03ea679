//! The NATS `JetStream` bus: one stream holds all topics, durable pull consumers are the groups.
//!
//! - [`server`]: the connection, and calls to the server's API.
//! - [`names`], [`streams`], [`consumers`]: what is made or adopted there, and how it is named.
//! - [`publish`], [`message`]: events to messages, pipelined, de-duplicated by `Nats-Msg-Id`.
//! - [`member`], [`pull`], [`desk`]: who asks for messages, and who tells what became of them.
//! - [`read`]: readers that keep their place themselves.
//! - [`delayed`]: events whose time has not come, in a work queue beside the stream.
//! - [`store`]: a key-value bucket beside the stream.
//!
//! An outage is waited out by readers and told at once to publishers. What is not settled comes
//! again: after a restart, and when this process dies, once the server has waited in vain. The server
//! acknowledges an event when it has written it; what a power cut can undo is its `sync_interval`'s and
//! the replicas' matter.

pub mod config;
mod consumers;
mod delayed;
mod desk;
mod member;
mod message;
mod names;
mod publish;
mod pull;
mod read;
mod server;
mod store;
mod streams;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use crate::dial::nats;
use crate::fault::{Fault, FaultKind};
use crate::flow::{
    Bus, Capability, End, Group, Ordering, Outgoing, Position, Published, Reader, Start, Subscriber, Subscription,
    Topic,
};
use crate::task::{self, Clock, Shutdown};
use config::Config;
use consumers::Consumer;
use desk::{Desk, lock};
use server::{Server, closed};

/// The kind's name in configuration.
pub const KIND: &str = "jetstream";

/// For each step of closing; a server that is gone must not hold up the end.
const CLOSING: Duration = Duration::from_secs(3);

/// A bus on a NATS server.
pub struct Jetstream {
    server: Server,
    config: Arc<Config>,
    stream: Arc<str>,
    desk: Arc<Desk>,
    clock: Clock,
    /// Members and what runs beside them; they end when the bus is closed.
    members: Mutex<task::Group>,
    /// The desk, which outlives the members.
    side: Mutex<Option<(task::Group, Shutdown)>>,
}

impl Jetstream {
    /// Connects, and makes or adopts the streams.
    ///
    /// # Errors
    /// `Denied` when login or permissions do not suffice, `Unavailable` when no server can be reached,
    /// `Rejected` when a stream of that name cannot carry a bus.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, Fault> {
        let server = Box::pin(Server::connect(&config.access)).await?;
        let stream: Arc<str> = config.stream.as_deref().unwrap_or("penstock").into();
        Box::pin(streams::ensure(&server, &config, &stream)).await?;
        let config = Arc::new(config);
        let desk = Arc::new(Desk::new());
        let stop = Shutdown::new();
        let mut side = task::Group::new(&stop);
        side.spawn(desk.clone().run(server.clone(), config.ack_wait, stop.clone()));
        let members = Mutex::new(task::Group::new(&server.closed));
        let side = Mutex::new(Some((side, stop)));
        let bus = Self { server, config, stream, desk, clock, members, side };
        Box::pin(bus.mover()).await?;
        lock(&bus.members).spawn(keep_streams(bus.server.clone(), bus.config.clone(), bus.stream.clone()));
        Ok(bus)
    }

    /// Starts what moves delayed events to their topics.
    async fn mover(&self) -> Result<(), Fault> {
        let consumer = delayed::consumer(&self.stream);
        let (seat, gone) = self.sit(consumer, delayed::MAX_MOVING).await?;
        let stream = self.stream.clone();
        lock(&self.members).spawn(delayed::run(self.server.clone(), stream, seat, self.clock.clone(), gone));
        Ok(())
    }

    /// Makes sure of a consumer and starts to pull from it.
    async fn sit(&self, consumer: Consumer, max: usize) -> Result<(Arc<desk::Seat>, Shutdown), Fault> {
        let mut failures = 0;
        let requests = loop {
            match self.listen(&consumer).await {
                Ok(requests) => break requests,
                Err(fault) => self.server.wait_out(&mut failures, fault).await?,
            }
        };
        let (seat, gone) = (self.desk.seat(), self.server.closed.child());
        let pull = pull::Pull {
            server: self.server.clone(),
            config: self.config.clone(),
            consumer,
            seat: seat.clone(),
            max,
            requests,
            gone: gone.clone(),
            failures: 0,
        };
        let mut members = lock(&self.members);
        // Those that left are done with.
        while let Some(Some(_)) = members.next().now_or_never() {}
        members.spawn(pull.run());
        Ok((seat, gone))
    }

    async fn listen(&self, consumer: &Consumer) -> Result<nats::Pull, Fault> {
        consumer.ensure(&self.server, &self.config).await?;
        nats::Pull::new(self.server.client.clone(), consumer.stream.clone(), consumer.name.clone()).await
    }
}

/// Makes what is missing after each new connection: a stream in memory does not survive its server.
async fn keep_streams(server: Server, config: Arc<Config>, stream: Arc<str>) -> Result<(), Fault> {
    let mut connections = server.told.connections();
    loop {
        tokio::select! {
            () = server.closed.requested() => return Ok(()),
            changed = connections.changed() => if changed.is_err() { return Ok(()) },
        }
        let mut failures = 0;
        while let Err(fault) = streams::ensure(&server, &config, &stream).await {
            if let Err(fault) = server.wait_out(&mut failures, fault).await {
                if !server.closed.is_requested() {
                    tracing::error!(error = %fault.chain(), "the streams of the bus cannot be had any more");
                }
                break;
            }
        }
    }
}

#[async_trait]
impl Bus for Jetstream {
    fn capability(&self) -> Capability {
        Capability {
            delayed: true,
            deduplicated: !self.config.keep.dedup_window.is_zero(),
            durable: self.config.storage == config::Storage::File,
            ordering: Ordering::Topic,
            max_event_bytes: self.max_event_bytes(),
        }
    }

    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        self.publish_all(topic, batch).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        let Subscription { topic, group, start, max_in_flight } = subscription;
        let consumer = Consumer {
            stream: self.stream.to_string(),
            name: names::consumer(&topic, &group),
            filter: names::subject(&self.stream, &topic),
            start: consumers::start(&self.config.start, start, self.clock.now()),
        };
        let configured = self.config.max_in_flight.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
        let max = max_in_flight.min(configured).max(1);
        let (seat, gone) = self.sit(consumer, max).await?;
        Ok(Box::new(member::Member { seat, gone, max, stream: self.stream.clone() }))
    }

    async fn read(&self, topic: &Topic, after: Option<Position>) -> Result<Box<dyn Reader>, Fault> {
        // What else may be configured is in the place that `begin` tells: without one, nothing was there, and what came
        // since is news.
        let begin = match &self.config.start {
            start @ (config::Start::Time(_) | config::Start::Since(_)) => start,
            _ => &config::Start::All,
        };
        let start = consumers::start(begin, Start::Earliest, self.clock.now());
        let start = serde_json::from_value(start).map_err(|error| {
            Fault::new(FaultKind::Internal, "read a topic", "nobody knows where to begin").with_source(error)
        })?;
        Ok(Box::new(read::Reader {
            server: self.server.clone(),
            stream: self.stream.to_string(),
            subject: names::subject(&self.stream, topic),
            start,
            last: after.map(|position| position.major),
            connections: self.server.told.connections(),
            messages: None,
        }))
    }

    async fn end(&self, topic: &Topic) -> Result<End, Fault> {
        read::end(&self.server, &self.stream, &names::subject(&self.stream, topic)).await
    }

    async fn begin(&self, topic: &Topic) -> Result<Option<Position>, Fault> {
        let before = match &self.config.start {
            config::Start::New => return Ok(self.end(topic).await?.position),
            config::Start::Last => self.end(topic).await?.position.map_or(0, |end| end.major - 1),
            config::Start::Sequence(number) => number.saturating_sub(1),
            config::Start::All | config::Start::Time(_) | config::Start::Since(_) => 0,
        };
        Ok((before > 0).then(|| message::position(before)))
    }

    async fn behind(&self, topic: &Topic, after: Option<Position>) -> Result<u64, Fault> {
        let (subject, after) = (names::subject(&self.stream, topic), after.map(|position| position.major));
        read::behind(&self.server, &self.stream, &subject, after).await
    }

    async fn lag(&self, topic: &Topic, group: &Group) -> Result<u64, Fault> {
        consumers::lag(&self.server, &self.stream, &names::consumer(topic, group)).await
    }

    fn ailment(&self) -> Option<Fault> {
        self.server.connected("use the bus").err()
    }

    /// Members give back what they hold, the desk sends the last words, and the server is asked one more
    /// thing: its answer means that it has read them.
    async fn close(&self) -> Result<(), Fault> {
        const OPERATION: &str = "close the bus";
        let Some((side, stop)) = lock(&self.side).take() else { return Ok(()) };
        let members = std::mem::replace(&mut *lock(&self.members), task::Group::new(&self.server.closed));
        self.server.closed.request();
        let late = || Fault::new(FaultKind::Timeout, OPERATION, "the server does not answer");
        let members = task::within(CLOSING, members.join()).await;
        stop.request();
        let told = task::within(CLOSING, side.join()).await;
        let flushed = task::within(CLOSING, self.server.client.request("$JS.API.INFO", "".into())).await;
        let drained = task::within(CLOSING, self.server.client.drain()).await;
        if drained.is_none_or(|drained| drained.is_err()) {
            tracing::debug!("the connection is dropped as it is");
        }
        members.ok_or_else(late)??;
        told.ok_or_else(late)??;
        match flushed {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(late().with_source(error)),
            None => Err(late()),
        }
    }
}

impl Jetstream {
    fn closed(operation: &'static str) -> Fault {
        closed(operation)
    }
}
