//! Takes messages in, hands events out, and settles what was kept.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::config::{Config, Rebalance};
use super::message::{self, Terms};
use crate::dial::{
    self,
    kafka::{Cluster, DEFAULTS, Message, Reader, Reading, Token},
};
use crate::fault::Fault;
use crate::flow::{self, Handout, Kept, Position};
use crate::task::{Clock, Shutdown};

/// Events that are handed out and not settled, at most.
const WINDOW: usize = 512;

/// For the last commit, and for leaving the group.
const LEAVING: Duration = Duration::from_secs(5);

/// One topic and where its events go.
pub type Entry = flow::Entry<Config>;

/// Listens to one topic.
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
    const SERVER: &'static str = "Kafka";
    type Link = Reader;

    /// Dropping it half way leaves nothing behind but a member that leaves.
    async fn open(&self) -> Result<Reader, Fault> {
        let config = &self.entry.config;
        let opened = Reader::open(reading(&self.entry)).await;
        let reader = opened.map_err(|fault| fault.with_context("brokers", cluster(config).names()))?;
        tracing::info!(topic = config.topic, "consuming from Kafka");
        Ok(reader)
    }

    async fn work(&self, reader: Reader, shutdown: &Shutdown) -> Result<(), Fault> {
        self.consume(reader, shutdown).await
    }
}

fn cluster(config: &Config) -> Cluster<'_> {
    let Config { brokers, sasl, tls, client, .. } = config;
    Cluster { brokers, sasl: sasl.as_ref(), tls: tls.as_ref(), settings: client }
}

fn reading(Entry { config, identity, .. }: &Entry) -> Reading {
    /// The client's own limits, which grow with the largest message.
    const FETCH: u64 = 50 << 20;
    const RECEIVE: u64 = 100_000_000;
    const OVERHEAD: u64 = 1024;
    let strategy = match config.rebalance {
        Rebalance::Range => "range",
        Rebalance::RoundRobin => "roundrobin",
        Rebalance::Sticky => "cooperative-sticky",
    };
    let mut more: Vec<(&str, String)> = DEFAULTS.map(|(name, value)| (name, value.to_owned())).into();
    more.push(("partition.assignment.strategy", strategy.to_owned()));
    more.push(("reconnect.backoff.ms", config.backoff.base.as_millis().min(3_600_000).to_string()));
    more.push(("reconnect.backoff.max.ms", config.backoff.cap.as_millis().min(3_600_000).to_string()));
    if let Some(bytes) = config.max_message_bytes {
        let fetch = FETCH.max(u64::from(bytes) + OVERHEAD);
        more.push(("fetch.message.max.bytes", bytes.to_string()));
        more.push(("fetch.max.bytes", fetch.to_string()));
        more.push(("receive.message.max.bytes", RECEIVE.max(fetch + OVERHEAD).to_string()));
    }
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Reading {
        topic: config.topic.clone(),
        group: config.group.clone().unwrap_or_else(|| format!("penstock-{}", identity.replace('/', "-"))),
        partition: config.partition,
        oldest: config.oldest,
        client: cluster(config).client(&more),
    }
}

impl Source {
    /// Works with one member of the group until it ends, or until `shutdown` and everything is settled.
    async fn consume(&self, reader: Reader, shutdown: &Shutdown) -> Result<(), Fault> {
        let mut filled = reader.filled();
        let mut out = FuturesUnordered::new();
        loop {
            let stopping = shutdown.is_requested();
            if stopping && out.is_empty() {
                if !reader.close(LEAVING).await {
                    tracing::debug!("Kafka does not answer; what was settled last comes again");
                }
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(settled) = out.next(), if !out.is_empty() => {
                    let settled: Option<Token> = settled;
                    if let Some(token) = settled {
                        reader.settle(token);
                    }
                }
                () = shutdown.requested(), if !stopping => {}
                came = take(&reader, &mut filled), if !stopping && out.len() < WINDOW => {
                    let (token, message) = came?;
                    let mut handout = self.handout(&message);
                    // Cancel-safe, and a message that is not handed out is not settled.
                    tokio::select! {
                        biased;
                        () = shutdown.requested() => continue,
                        given = handout.give() => if given.is_err() { continue },
                    }
                    out.push(kept(handout, token, shutdown.clone()));
                }
            }
        }
    }

    fn handout(&self, message: &Message) -> Handout {
        let Entry { config, outlet, source, ty, .. } = &self.entry;
        let now = self.clock.now();
        let terms = Terms { topic: &config.topic, source, ty, json_body: config.json_body, now };
        let event = message::event(message, &terms);
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        let position = Position { major: number(message.partition.into()), minor: number(message.offset) };
        Handout::new(outlet.clone(), event, position, now, 1)
    }
}

/// The next message. Cancel-safe.
async fn take(reader: &Reader, filled: &mut tokio::sync::watch::Receiver<u64>) -> Result<(Token, Message), Fault> {
    loop {
        filled.mark_unchanged();
        if let Some(found) = reader.next()? {
            return Ok(found);
        }
        // The other end is there as long as the reader is.
        drop(filled.changed().await);
    }
}

/// The token of a message that is done with.
async fn kept(handout: Handout, token: Token, shutdown: Shutdown) -> Option<Token> {
    match handout.insisting().kept(shutdown).await {
        Kept::Yes => Some(token),
        Kept::Never(_) | Kept::Stopped => None,
    }
}
