//! The Redis streams bus: one stream per topic, and the server's consumer groups.
//!
//! - [`server`]: calls, over one connection that is made anew when it breaks.
//! - [`script`]: the steps that the server takes as one, and how keys are named.
//! - [`publish`], [`message`]: events to entries, de-duplicated in the same step.
//! - [`member`], [`seat`], [`pull`], [`bell`]: who fetches entries, and who tells what became of them.
//! - [`read`]: readers that keep their place themselves.
//! - [`inspect`]: whether the server keeps what it confirms.
//! - [`store`]: hashes beside the streams.
//!
//! Delayed events wait in a sorted set; whoever fetches from the topic moves those that are due, in the
//! same step. Entries that come again wait in a sorted set of their group, and stay pending meanwhile;
//! what a dead consumer held gets there when `ack_wait` has passed. All times are the server's.
//!
//! An outage is waited out by readers and told at once to publishers. What was confirmed survives a
//! crash of the server when it writes before it answers (`appendfsync always`).

mod bell;
pub mod config;
mod inspect;
mod member;
mod message;
mod publish;
mod pull;
mod read;
mod script;
mod seat;
mod server;
mod store;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use crate::fault::{Fault, FaultKind};
use crate::flow::{
    Bus, Capability, End, Group, Ordering, Outgoing, Position, Published, Reader, Subscriber, Subscription, Topic,
};
use crate::task;
use config::Config;
use script::{Keys, LAG, StoreKeys, TRIM};
use seat::Seat;
use server::{Server, closed, lock};

/// The kind's name in configuration.
pub const KIND: &str = "redis";

/// For members to leave; a server that is gone must not hold up the end.
const CLOSING: Duration = Duration::from_secs(3);
/// How often retention is applied to topics on which nothing happens, and the server is looked after.
const LOOK: Duration = Duration::from_secs(10);

/// A bus on Redis.
pub struct Redis {
    server: Server,
    store: StoreKeys,
    /// Whether the server writes to its disk before it answers.
    durable: bool,
    /// Topics that this process published or read.
    topics: Arc<Mutex<BTreeSet<Topic>>>,
    /// Members and what runs beside them; they end when the bus is closed.
    members: Mutex<Option<task::Group>>,
}

impl Redis {
    /// Connects, and looks whether the server is fit to keep events.
    ///
    /// # Errors
    /// `Denied` when the login does not suffice, `Unavailable` when no server can be reached, `Rejected`
    /// when it is too old.
    pub async fn open(config: Config) -> Result<Self, Fault> {
        let store = StoreKeys::new(&config.prefix);
        let server = Box::pin(Server::open(config)).await?;
        let durable = inspect::inspect(&server).await?;
        let topics = Arc::default();
        let mut members = task::Group::new(&server.closed);
        members.spawn(look_after(server.clone(), Arc::clone(&topics)));
        Ok(Self { server, store, durable, topics, members: Mutex::new(Some(members)) })
    }

    fn keys(&self, topic: &Topic) -> Keys {
        let mut topics = lock(&self.topics);
        if !topics.contains(topic) {
            topics.insert(topic.clone());
        }
        Keys::new(&self.server.config.prefix, topic)
    }
}

/// Applies retention, and notices outages while nobody publishes or reads.
async fn look_after(server: Server, topics: Arc<Mutex<BTreeSet<Topic>>>) -> Result<(), Fault> {
    loop {
        tokio::select! {
            () = server.closed.requested() => return Ok(()),
            () = task::sleep(LOOK) => {}
        }
        let looked = server.call::<String>("look after the server", &redis::cmd("PING")).await;
        if looked.is_err() {
            continue;
        }
        let known: Vec<Topic> = lock(&topics).iter().cloned().collect();
        let keep = &server.config.keep;
        let age = keep.age.as_millis().to_string();
        let bytes = keep.bytes.unwrap_or(0).to_string();
        for topic in known {
            let keys = Keys::new(&server.config.prefix, &topic);
            let arguments = [age.as_bytes(), bytes.as_bytes()];
            if let Err(fault) = server.run::<i64>("apply retention", &TRIM, &[&keys.stream], &arguments).await {
                tracing::warn!(error = %fault.chain(), %topic, "retention cannot be applied; trying again later");
                break;
            }
        }
    }
}

#[async_trait]
impl Bus for Redis {
    fn capability(&self) -> Capability {
        Capability {
            delayed: true,
            deduplicated: !self.server.config.keep.dedup_window.is_zero(),
            durable: self.durable,
            ordering: Ordering::Topic,
            max_event_bytes: publish::MAX_EVENT_BYTES,
        }
    }

    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        if let Err(fault) = self.server.is_open("publish") {
            return vec![Err(fault); batch.len()];
        }
        publish::publish(&self.server, &self.keys(topic), topic, &batch).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        let Subscription { topic, group, start, max_in_flight } = subscription;
        let keys = self.keys(&topic);
        let (seat, gone, stream) = (Arc::new(Seat::default()), self.server.closed.child(), keys.stream.clone());
        let pull = pull::Pull {
            server: self.server.clone(),
            again: keys.again(&group),
            consumer: format!("{:016x}", fastrand::u64(..)),
            keys,
            group,
            start,
            seat: seat.clone(),
            max: max_in_flight.max(1),
            gone: gone.clone(),
        };
        let mut failures = 0;
        loop {
            self.server.is_open("subscribe")?;
            match pull.join().await {
                Ok(()) => break,
                Err(fault) => self.server.wait_out(&mut failures, fault).await?,
            }
        }
        match lock(&self.members).as_mut() {
            None => return Err(closed("subscribe")),
            Some(members) => {
                // Those that left are done with.
                while let Some(Some(_)) = members.next().now_or_never() {}
                members.spawn(pull.run());
            }
        }
        Ok(Box::new(member::Member { seat, gone, stream }))
    }

    async fn read(&self, topic: &Topic, after: Option<Position>) -> Result<Box<dyn Reader>, Fault> {
        self.server.is_open("read a topic")?;
        Ok(Box::new(read::Reader::new(&self.server, self.keys(topic), after)))
    }

    async fn end(&self, topic: &Topic) -> Result<End, Fault> {
        self.server.is_open("look for the end of a topic")?;
        read::end(&self.server, &Keys::new(&self.server.config.prefix, topic)).await
    }

    async fn behind(&self, topic: &Topic, after: Option<Position>) -> Result<u64, Fault> {
        self.server.is_open(read::COUNT)?;
        read::behind(&self.server, &Keys::new(&self.server.config.prefix, topic), after).await
    }

    async fn lag(&self, topic: &Topic, group: &Group) -> Result<u64, Fault> {
        const OPERATION: &str = "tell the lag";
        self.server.is_open(OPERATION)?;
        let keys = Keys::new(&self.server.config.prefix, topic);
        let lag: i64 = self.server.run(OPERATION, &LAG, &[&keys.stream], &[group.as_str().as_bytes()]).await?;
        u64::try_from(lag).map_err(|_| {
            Fault::new(FaultKind::NotFound, OPERATION, format!("there is no group {group} on the topic {topic}"))
        })
    }

    fn ailment(&self) -> Option<Fault> {
        self.server.is_open("use the bus").err().or_else(|| self.server.ailment())
    }

    /// Members send their last words and give back what they hold.
    async fn close(&self) -> Result<(), Fault> {
        let Some(members) = lock(&self.members).take() else { return Ok(()) };
        self.server.closed.request();
        let late = || Fault::new(FaultKind::Timeout, "close the bus", "the server does not answer");
        task::within(CLOSING, members.join()).await.ok_or_else(late)?
    }
}
