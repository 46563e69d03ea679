//! Takes messages in, hands events out, and acknowledges what was kept.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::Acker;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions};

use super::config::Config;
use super::link::{self, Link};
use super::message::{self, Terms};
use crate::dial;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Handout, Kept, Position};
use crate::task::{self, Clock, Shutdown};

const CONSUME: &str = "consume from RabbitMQ";

/// Before a message whose event was refused for good goes back to the queue, which would bring it
/// again at once.
const BACK: Duration = Duration::from_secs(30);

/// One queue and where its events go.
pub type Entry = flow::Entry<Config>;

/// Listens to one queue.
pub struct Source {
    entry: Entry,
    clock: Clock,
}

impl Source {
    pub fn new(entry: Entry, clock: Clock) -> Self {
        Self { entry, clock }
    }
}

#[async_trait]
impl flow::Source for Source {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        dial::work(&*self, &self.entry.config.backoff, &shutdown).await
    }
}

impl dial::Client for Source {
    const SERVER: &'static str = "RabbitMQ";
    type Link = Link;

    async fn open(&self) -> Result<Link, Fault> {
        let queue = self.queue();
        let link = Link::open(&self.entry.config, &queue).await?;
        tracing::info!(%queue, "consuming from RabbitMQ");
        Ok(link)
    }

    async fn work(&self, link: Link, shutdown: &Shutdown) -> Result<(), Fault> {
        self.consume(link, shutdown).await.map_err(|fault| fault.with_context("queue", self.queue()))
    }
}

impl Source {
    fn queue(&self) -> Cow<'_, str> {
        match &self.entry.config.queue {
            Some(queue) => queue.into(),
            None => format!("penstock.{}", self.entry.identity.replace('/', ".")).into(),
        }
    }

    /// Works with one connection until it is lost, or until `shutdown` and everything is settled.
    async fn consume(&self, mut link: Link, shutdown: &Shutdown) -> Result<(), Fault> {
        let mut out = FuturesUnordered::new();
        let mut stopping = false;
        loop {
            if stopping && out.is_empty() {
                link.close().await;
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(settled) = out.next(), if !out.is_empty() => {
                    let settled: lapin::Result<()> = settled;
                    // The connection is gone, and with it everything that is out: it comes again.
                    settled.map_err(|error| link::fault(CONSUME, error))?;
                }
                () = shutdown.requested(), if !stopping => {
                    stopping = true;
                    link.cancel().await;
                }
                // The broker brings no more than `prefetch` before it is answered.
                delivery = link.consumer.next(), if !stopping => {
                    let gone = || Fault::new(FaultKind::Unavailable, CONSUME, "the broker has ended the consumer");
                    let delivery = delivery.ok_or_else(gone)?.map_err(|error| link::fault(CONSUME, error))?;
                    let (mut handout, acker) = self.handout(delivery);
                    // Cancel-safe, and a message that is not handed out is not acknowledged.
                    tokio::select! {
                        biased;
                        () = shutdown.requested() => continue,
                        given = handout.give() => if given.is_err() { continue },
                    }
                    out.push(settle(handout, acker, shutdown.clone()));
                }
            }
        }
    }

    fn handout(&self, delivery: Delivery) -> (Handout, Acker) {
        let Entry { config, outlet, source, ty, .. } = &self.entry;
        let Delivery { delivery_tag, routing_key, redelivered, properties, data, acker, .. } = delivery;
        let now = self.clock.now();
        let terms = Terms { source, ty, json_body: config.json_body, now };
        let attempt = message::attempt(&properties, redelivered);
        let event = message::event(routing_key.as_str(), &properties, Bytes::from(data), &terms);
        let position = Position { major: delivery_tag, minor: 0 };
        (Handout::new(outlet.clone(), event, position, now, attempt), acker)
    }
}

/// Answers for one message.
async fn settle(handout: Handout, acker: Acker, shutdown: Shutdown) -> lapin::Result<()> {
    match handout.kept(shutdown.clone()).await {
        Kept::Yes => acker.ack(BasicAckOptions::default()).await.map(drop),
        Kept::Never(fault) => {
            tracing::warn!(fault = fault.chain(), "an event is refused; its message goes back to the queue");
            tokio::select! {
                () = shutdown.requested() => {}
                () = task::sleep(BACK) => {}
            }
            acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await.map(drop)
        }
        // It goes back to the queue with the connection.
        Kept::Stopped => Ok(()),
    }
}
