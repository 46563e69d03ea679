//! What daprd publishes: bytes as they are, or a frame that is unpacked.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use smallvec::SmallVec;

use super::opaque;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus, Deduplicate, Outgoing, Topic};
use crate::frame::{self, MAX_MESSAGE, Terms};
use crate::telemetry;

/// How long a message is worth something: Dapr's key, and the alias that it takes.
const TTL: [&str; 2] = ["ttlInSeconds", "ttl"];

const OPERATION: &str = "publish";

/// One message of a call, or all events of a frame.
type Events = SmallVec<[Outgoing; 1]>;

/// One publish call.
pub(super) struct Call<'a> {
    pub bus: &'a dyn Bus,
    /// The Component's name.
    pub component: &'a str,
    pub topic: &'a str,
    pub counts: &'a telemetry::Component,
    pub now: Timestamp,
}

/// One message and what holds for it.
pub(super) struct Message<'a> {
    pub data: Bytes,
    pub metadata: &'a BTreeMap<String, String>,
}

impl Call<'_> {
    /// Publishes messages, all in one batch; answers for each.
    pub(super) async fn publish(&self, messages: impl Iterator<Item = Message<'_>>) -> Vec<Result<(), Fault>> {
        let topic =
            Topic::new(self.topic).map_err(|error| Fault::new(FaultKind::Rejected, OPERATION, error.to_string()));
        let mut batch = Vec::new();
        let mut results = Vec::new();
        for message in messages {
            let events = match &topic {
                Ok(_) => self.events(message),
                Err(fault) => Err(fault.clone()),
            };
            results.push(events.map(|events| {
                let count = events.len();
                batch.extend(events);
                count
            }));
        }
        let answers = match &topic {
            Ok(topic) if !batch.is_empty() => self.bus.publish(topic, batch).await,
            _ => Vec::new(),
        };
        let mut answers = answers.into_iter();
        let settle = |result: Result<usize, Fault>| {
            let mut outcome = Ok(());
            if result.is_err() {
                self.counts.refused.inc();
            }
            let count = result?;
            // All answers of a frame are taken, so that those of the next one follow.
            for answer in answers.by_ref().take(count) {
                if answer.is_ok() { &self.counts.published } else { &self.counts.refused }.inc();
                outcome = outcome.and(answer.map(|_| ()));
            }
            outcome
        };
        results.into_iter().map(settle).collect()
    }

    fn events(&self, Message { data, metadata }: Message<'_>) -> Result<Events, Fault> {
        let rejected = |message: String| Fault::new(FaultKind::Rejected, OPERATION, message);
        if let Some(Terms { delay, deduplicate }) = Terms::read(metadata).map_err(rejected)? {
            let events = frame::read(data)?;
            return Ok(events.into_iter().map(|event| Outgoing { event, delay, deduplicate }).collect());
        }
        if data.len() > MAX_MESSAGE {
            let message =
                format!("the message has {} bytes; daprd could not hand out more than {MAX_MESSAGE}", data.len());
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, message).with_context("topic", self.topic));
        }
        let expires = ttl(metadata).map_err(rejected)?.and_then(|ttl| self.now.checked_add(ttl).ok());
        let event = opaque::wrap(&data, &format!("/dapr/{}", self.component), expires)
            .map_err(|error| Fault::new(FaultKind::Internal, OPERATION, error.to_string()))?;
        Ok(SmallVec::from_buf([Outgoing { event, delay: None, deduplicate: Deduplicate::Never }]))
    }
}

/// How long a message is worth something: seconds, or a duration as Go writes it.
fn ttl(metadata: &BTreeMap<String, String>) -> Result<Option<Duration>, String> {
    said_ttl(metadata).map(|(key, text)| read_ttl(key, text)).transpose()
}

/// As [`ttl`], for a state value, of which -1 says that it is kept for ever.
pub(super) fn state_ttl(metadata: &BTreeMap<String, String>) -> Result<Option<Duration>, String> {
    said_ttl(metadata).filter(|(_, text)| *text != "-1").map(|(key, text)| read_ttl(key, text)).transpose()
}

fn said_ttl(metadata: &BTreeMap<String, String>) -> Option<(&str, &str)> {
    let mut said = metadata.iter().filter(|(key, _)| TTL.iter().any(|ttl| ttl.eq_ignore_ascii_case(key)));
    said.next().map(|(key, text)| (key.as_str(), text.as_str()))
}

fn read_ttl(key: &str, text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs).ok();
    let ttl = seconds.or_else(|| go(text)).filter(|ttl| !ttl.is_zero());
    ttl.ok_or_else(|| format!("{key}: {text:?} is neither whole seconds nor a duration such as \"90s\""))
}

/// A sum of whole numbers with units, which is what Go's own text of a duration of seconds is.
fn go(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest[..digits].parse().ok()?;
        let units = &rest[digits..];
        let unit = units.find(|c: char| c.is_ascii_digit()).unwrap_or(units.len());
        let one = match &units[..unit] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return None,
        };
        sum = sum.checked_add(one.checked_mul(number)?)?;
        rest = &units[unit..];
    }
    Some(sum)
}
