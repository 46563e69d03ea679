//! Clients: their settings, what they tell, and the first look at the brokers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataPartition};

use super::fault::{coded, fault};
use crate::api::client::{Endpoint, Mechanism, Sasl, Tls};
use crate::fault::{Fault, FaultKind, Retry};
use crate::task;

const CONNECT: &str = "connect to Kafka";
/// For the brokers to answer the first question, login and TLS included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it must have been known that no broker can be reached before that is told: a name may have several
/// addresses, which are tried one after the other, and why a broker hangs up may be heard only the next time.
const GRACE: Duration = Duration::from_secs(1);
/// How long one question waits before what the client told meanwhile is looked at.
const TURN: Duration = Duration::from_millis(250);
/// The longest pause between two attempts to come back: half of the time in which that should succeed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Brokers, and who we are to them.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    pub brokers: &'a [Endpoint],
    pub sasl: Option<&'a Sasl>,
    pub tls: Option<&'a Tls>,
    /// Settings of librdkafka, which win over those here.
    pub settings: &'a BTreeMap<String, String>,
}

impl Cluster<'_> {
    /// What every client needs. `more` comes before the settings that win.
    pub fn client(&self, more: &[(&str, &str)]) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.names()).set("client.id", "penstock");
        client
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", LONGEST_PAUSE.as_millis().to_string());
        let protocol = match (self.tls, self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if let Some(Sasl { mechanism, username, password }) = self.sasl {
            let mechanism = match mechanism {
                Mechanism::Plain => "PLAIN",
                Mechanism::ScramSha256 => "SCRAM-SHA-256",
                Mechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            client.set("sasl.mechanisms", mechanism);
            client.set("sasl.username", username.expose()).set("sasl.password", password.expose());
        }
        if let Some(Tls { ca, identity, insecure }) = self.tls {
            if let Some(ca) = ca {
                client.set("ssl.ca.pem", ca.expose());
            }
            if let Some((cert, key)) = identity {
                client.set("ssl.certificate.pem", cert.expose()).set("ssl.key.pem", key.expose());
            }
            if *insecure {
                client.set("enable.ssl.certificate.verification", "false");
            }
        }
        let settings = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in more.iter().copied().chain(settings) {
            client.set(name, value);
        }
        client
    }

    /// The brokers as people write them.
    pub fn names(&self) -> String {
        self.brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

/// What a client told about its connections. Nobody is told twice in the log that brokers are away.
#[derive(Debug, Default)]
pub struct Told {
    /// Why the brokers do not let us in.
    refused: Mutex<Option<Fault>>,
    /// Whether no broker can be reached.
    down: AtomicBool,
    /// Something came that was no message.
    pub(super) stirred: AtomicBool,
}

impl Told {
    /// Takes in an error that concerns the client as a whole.
    pub fn hear(&self, error: KafkaError, reason: &str) {
        self.stirred.store(true, Ordering::Release);
        let code = error.rdkafka_error_code();
        let heard = fault(CONNECT, error);
        if heard.kind() == FaultKind::Denied {
            // The reason names the step, and no secret.
            let refused = Fault::new(FaultKind::Denied, CONNECT, heard.message()).with_context("reason", reason);
            if self.lock().replace(refused).is_none() {
                tracing::warn!(reason, "Kafka refuses the client");
            }
        } else if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            if !self.down.swap(true, Ordering::AcqRel) {
                tracing::warn!(reason, "no Kafka broker can be reached; trying again");
            }
        } else {
            tracing::debug!(reason, "Kafka complains");
        }
    }

    pub fn log(&self, facility: &str, text: &str) {
        self.stirred.store(true, Ordering::Release);
        tracing::debug!(facility, text, "librdkafka");
    }

    /// A broker answered.
    pub fn answered(&self) {
        if self.down.swap(false, Ordering::AcqRel) {
            tracing::info!("connected again to Kafka");
        }
        *self.lock() = None;
    }

    /// Why the brokers cannot be used at the moment.
    pub fn ailment(&self) -> Option<Fault> {
        let down = || Fault::new(FaultKind::Unavailable, CONNECT, "no broker can be reached");
        self.lock().clone().or_else(|| self.down.load(Ordering::Acquire).then(down))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fault>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client whose words go to one place, with those of others.
#[derive(Debug)]
pub struct Listener(pub Arc<Told>);

impl ClientContext for Listener {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.log(facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.hear(error, reason);
    }
}

impl ConsumerContext for Listener {}

/// Asks the brokers about `topic`, whether it is there or not; blocks until they answered. `serve` hands the
/// client's words to `told`.
///
/// # Errors
/// `Denied` for a login or certificate that is refused, `Unavailable` when no broker answers as a
/// Kafka broker should.
pub fn look<C: ClientContext>(
    client: &Client<C>,
    told: &Told,
    topic: &str,
    serve: impl Fn(),
) -> Result<Metadata, Fault> {
    patiently(told, serve, || client.fetch_metadata(Some(topic), TURN))
}

/// The partitions of a topic, as the brokers tell.
///
/// # Errors
/// `NotFound` when there is no such topic, `Denied` when it is not ours to use.
pub fn numbers(found: &Metadata, topic: &str) -> Result<Vec<i32>, Fault> {
    let Some(entry) = found.topics().iter().find(|entry| entry.name() == topic) else {
        return Err(coded("find the topic", RDKafkaErrorCode::UnknownTopic).with_context("topic", topic));
    };
    let Some(code) = entry.error() else { return Ok(entry.partitions().iter().map(MetadataPartition::id).collect()) };
    let fault = coded("find the topic", code.into()).with_context("topic", topic);
    Err(if fault.kind() == FaultKind::NotFound { fault.with_retry(Retry::Never) } else { fault })
}

/// Asks again and again, until there is an answer, or a reason why there is none.
fn patiently<T>(told: &Told, serve: impl Fn(), ask: impl Fn() -> KafkaResult<T>) -> Result<T, Fault> {
    let elapsed = task::stopwatch();
    let mut away = None;
    loop {
        let answer = ask();
        serve();
        match answer {
            Ok(found) => {
                told.answered();
                return Ok(found);
            }
            Err(error) => {
                let ailment = told.ailment();
                let away = ailment.is_some().then(|| away.get_or_insert_with(task::stopwatch)());
                if let Some(fault) = verdict(ailment, away.unwrap_or_default(), elapsed()) {
                    return Err(if fault.kind() == FaultKind::Denied { fault } else { fault.with_source(error) });
                }
            }
        }
    }
}

/// What is told of brokers that have not answered for so long; nothing while there is hope. A refusal is told at once,
/// another ailment when it lasts: `away` is for how long there has been one.
fn verdict(ailment: Option<Fault>, away: Duration, elapsed: Duration) -> Option<Fault> {
    let silent = || Fault::new(FaultKind::Unavailable, CONNECT, "the brokers do not answer");
    match ailment {
        Some(fault) => (fault.kind() == FaultKind::Denied || away >= GRACE).then_some(fault),
        None => (elapsed >= PATIENCE).then(silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_refused_is_told_though_it_is_heard_after_no_broker_could_be_reached() {
        let told = Told::default();
        let judge = |away, elapsed| verdict(told.ailment(), away, elapsed).map(|fault| fault.kind());
        assert_eq!(judge(Duration::ZERO, SECOND * 9), None);
        assert_eq!(judge(Duration::ZERO, SECOND * 10), Some(FaultKind::Unavailable), "silence ends");
        told.hear(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(judge(Duration::ZERO, SECOND), None, "another address may answer");
        assert_eq!(judge(GRACE, SECOND * 2), Some(FaultKind::Unavailable));
        told.hear(KafkaError::Global(RDKafkaErrorCode::Authentication), "the login is wrong");
        assert_eq!(judge(Duration::ZERO, SECOND), Some(FaultKind::Denied));
        told.hear(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(judge(GRACE, SECOND * 2), Some(FaultKind::Denied), "the better reason stays");
        told.answered();
        assert_eq!(judge(Duration::ZERO, SECOND), None);
    }

    #[test]
    fn an_outage_ends_with_the_next_address_or_a_refusal_or_is_told_when_it_lasts() {
        let down = || KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        let asked = std::cell::Cell::new(0);
        let late = || -> KafkaResult<()> {
            asked.set(asked.get() + 1);
            if asked.get() < 3 { Err(down()) } else { Ok(()) }
        };
        let told = Told::default();
        patiently(&told, || told.hear(down(), "1/1 brokers are down"), late).unwrap();
        assert!(told.ailment().is_none());
        let refused = |told: &Told, code| {
            patiently(told, || told.hear(KafkaError::Global(code), "refused"), || Err::<(), _>(down())).unwrap_err()
        };
        told.hear(down(), "1/1 brokers are down");
        assert_eq!(refused(&told, RDKafkaErrorCode::SSL).kind(), FaultKind::Denied);
        assert_eq!(refused(&Told::default(), RDKafkaErrorCode::AllBrokersDown).kind(), FaultKind::Unavailable);
    }
}
