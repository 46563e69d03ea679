//! The clients that everyone here shares, and what the brokers allow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataBroker;
use rdkafka::producer::{BaseProducer, FutureProducer, Producer, ProducerContext};

use super::config::{self, Config};
use crate::dial::kafka::{self, DEFAULTS, Listener, Told, fault, look, numbers};
use crate::fault::Fault;
use crate::task::{self, Backoff};

const OPERATION: &str = "connect to Kafka";
/// For the brokers to answer one question.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// For brokers that were away to answer.
pub(super) const LOOK: Duration = Duration::from_secs(2);
/// What brokers take when nobody set or told anything else.
const DEFAULT_MESSAGE: usize = 1_000_000;
/// Room in a message for what its headers need beyond the event's record.
const HEADROOM: usize = 16 << 10;
/// What a client must be allowed to send for an event of the least size that is of use.
const LEAST: usize = 1024;

/// The pauses of whoever waits an outage out.
pub(super) const OUTAGE: Backoff =
    Backoff { base: Duration::from_millis(100), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(1) };

/// How events are sent: every replica has one before it is confirmed, and none twice.
const PRODUCER: [(&str, &str); 7] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("partitioner", "murmur2_random"),
    ("linger.ms", "1"),
    // Whoever publishes is told after so long, and may try again.
    ("message.timeout.ms", "5000"),
    ("queue.buffering.max.kbytes", "65536"),
    ("topic.metadata.propagation.max.ms", "5000"),
];

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) type Sender = FutureProducer<Listener>;

/// The brokers, as everyone here knows them.
pub(super) struct Cluster {
    pub config: Config,
    pub admin: AdminClient<Listener>,
    told: Arc<Told>,
    producer: Mutex<Sender>,
    /// The largest message that the brokers take.
    max_message: usize,
    /// Whether events may wait to be delivered later from the time before.
    pub waiting: bool,
}

impl Cluster {
    /// Connects.
    ///
    /// # Errors
    /// As [`look`], and when a setting cannot be used.
    pub(super) async fn open(config: Config) -> Result<Self, Fault> {
        let told = Arc::new(Told::default());
        let (asked, known) = (told.clone(), config.clone());
        let (broker, waiting) = task::blocking(OPERATION, move || reach(&known, &asked)).await?;
        let admin: AdminClient<Listener> = client(&config, &[])
            .create_with_context(Listener(told.clone()))
            .map_err(|error| fault(OPERATION, error))?;
        let max_message = max_message(&config, &admin, broker).await;
        let producer = Mutex::new(producer(&config, max_message, &told)?);
        Ok(Self { config, admin, told, producer, max_message, waiting })
    }

    /// The topic of events that are delivered later.
    pub(super) fn delayed(&self) -> String {
        config::delayed(&self.config.name)
    }

    /// The settings of a member of a group.
    pub(super) fn consumer(&self) -> ClientConfig {
        let more = [DEFAULTS.as_slice(), &[("partition.assignment.strategy", "cooperative-sticky")]].concat();
        client(&self.config, &more)
    }

    /// Reads state: everything that was committed, to its end, which is told.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub(super) fn state_reader(&self) -> Result<BaseConsumer<Listener>, Fault> {
        self.apart("5")
    }

    /// Reads partitions that it is told, as [`Cluster::state_reader`] does, and has more time.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub(super) fn reader(&self) -> Result<BaseConsumer<Listener>, Fault> {
        self.apart("100")
    }

    /// Reads what was committed, without a group. Brokers that have nothing more wait so many milliseconds before they say so.
    fn apart(&self, rest: &str) -> Result<BaseConsumer<Listener>, Fault> {
        let more = [
            DEFAULTS.as_slice(),
            &[
                ("enable.partition.eof", "true"),
                ("isolation.level", "read_committed"),
                ("fetch.wait.max.ms", rest),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "earliest"),
                ("group.id", self.config.name.as_str()),
            ],
        ];
        client(&self.config, &more.concat())
            // A replica that is nearer may be behind: its end is not that of the partition.
            .remove("client.rack")
            .create_with_context(Listener(self.told.clone()))
            .map_err(|error| fault(OPERATION, error))
    }

    /// Writes state, after it was told to end what others had begun.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub(super) fn state_writer<C: ProducerContext>(
        &self,
        context: impl FnOnce(Arc<Told>) -> C,
    ) -> Result<BaseProducer<C>, Fault> {
        let (id, max) = (format!("{}.state", self.config.name), self.max_message.to_string());
        let more = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("transactional.id", id.as_str()),
            ("transaction.timeout.ms", "10000"),
            ("message.timeout.ms", "5000"),
            ("linger.ms", "0"),
            ("message.max.bytes", max.as_str()),
        ];
        client(&self.config, &more)
            .create_with_context(context(self.told.clone()))
            .map_err(|error| fault(OPERATION, error))
    }

    pub(super) fn max_event_bytes(&self) -> usize {
        self.max_message.saturating_sub(HEADROOM).max(LEAST)
    }

    pub(super) fn producer(&self) -> Sender {
        lock(&self.producer).clone()
    }

    /// Looks whether the producer can still be used, after something was not sent: one that lost track of
    /// what it sent refuses everything from then on, and is replaced.
    pub(super) fn check(&self, used: &Sender) {
        let Some((code, reason)) = used.client().fatal_error() else { return };
        let mut producer = lock(&self.producer);
        // Another task may have replaced it already.
        if producer.client().fatal_error().is_some() {
            tracing::warn!(%code, reason, "the producer cannot go on; another one is made");
            match self::producer(&self.config, self.max_message, &self.told) {
                Ok(made) => *producer = made,
                Err(fault) => tracing::error!(error = %fault.chain(), "no producer can be made"),
            }
        }
    }

    /// Asks the brokers something, whatever it is; blocks.
    ///
    /// # Errors
    /// When they do not answer.
    pub(super) fn look(&self) -> Result<(), Fault> {
        let found = self.admin.inner().fetch_metadata(Some(&self.delayed()), LOOK);
        found.map_err(|error| fault(OPERATION, error))?;
        self.answered();
        Ok(())
    }

    pub(super) fn answered(&self) {
        self.told.answered();
    }

    pub(super) fn ailment(&self) -> Option<Fault> {
        self.told.ailment()
    }
}

fn client(config: &Config, more: &[(&str, &str)]) -> ClientConfig {
    let Config { brokers, sasl, tls, client, .. } = config;
    kafka::Cluster { brokers, sasl: sasl.as_ref(), tls: tls.as_ref(), settings: client }.client(more)
}

fn producer(config: &Config, max_message: usize, told: &Arc<Told>) -> Result<Sender, Fault> {
    let max = max_message.to_string();
    let more = [PRODUCER.as_slice(), &[("message.max.bytes", max.as_str())]].concat();
    client(config, &more).create_with_context(Listener(told.clone())).map_err(|error| fault(OPERATION, error))
}

/// Connects once, by asking for the topic of delayed events; the number of a broker, and whether that
/// topic is there.
fn reach(config: &Config, told: &Arc<Told>) -> Result<(Option<i32>, bool), Fault> {
    let consumer: BaseConsumer<Listener> =
        client(config, &[]).create_with_context(Listener(told.clone())).map_err(|error| fault(OPERATION, error))?;
    let brokers = || config.brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let topic = config::delayed(&config.name);
    let found = look(consumer.client(), told, &topic, || while consumer.poll(Duration::ZERO).is_some() {});
    let found = found.map_err(|fault| fault.with_context("brokers", brokers()))?;
    let waiting = numbers(&found, &topic).is_ok();
    Ok((found.brokers().first().map(MetadataBroker::id), waiting))
}

/// What is set, else what the broker tells, if it does, else what it takes unless it was set otherwise.
async fn max_message(config: &Config, admin: &AdminClient<Listener>, broker: Option<i32>) -> usize {
    const SETTING: &str = "message.max.bytes";
    if let Some(set) = config.client.get(SETTING).and_then(|text| text.parse().ok()) {
        return set;
    }
    let Some(broker) = broker else { return DEFAULT_MESSAGE };
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let resource = ResourceSpecifier::Broker(broker);
    let told = admin.describe_configs([&resource], &options).await;
    let found = told.into_iter().flatten().flatten().next();
    let value = found.and_then(|found| found.get(SETTING)?.value.clone()).and_then(|text| text.parse().ok());
    if value.is_none() {
        tracing::debug!("the broker does not tell its largest message");
    }
    value.unwrap_or(DEFAULT_MESSAGE)
}
