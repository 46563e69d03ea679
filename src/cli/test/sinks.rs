//! Sinks that answer as a case says, and what they and the router tell.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};

use super::cases::Answer;
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Accepted, Sink};
use crate::router::decision::{Decision, Observer};
use crate::router::filter::Values;
use crate::router::journal::Step;
use crate::sinks::http::{self as sink, Config};
use crate::task::Clock;
use jiff::Timestamp;

/// Something that left the router.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub at: Timestamp,
    /// `namespace/trigger/subscriber`.
    pub subscriber: String,
    pub address: String,
    /// Which attempt it was, or how many were made before it was given up.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: Option<&'static str>,
    pub event: Event,
}

/// What happened, in the order in which it did.
#[derive(Default)]
struct Record {
    delivered: Vec<Left>,
    dead: Vec<Left>,
    lines: Vec<String>,
    /// What a sink was just given, and its address: the decision about it follows at once.
    given: Option<(String, Event)>,
    /// How many answers each subscriber gave.
    answered: HashMap<String, usize>,
}

/// Notes everything that happens in one case.
pub(super) struct Recorder {
    clock: Clock,
    start: Timestamp,
    record: Mutex<Record>,
}

impl Recorder {
    pub fn new(clock: Clock) -> Self {
        Self { start: clock.now(), clock, record: Mutex::default() }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deliveries, dead letters, and a line for each decision.
    pub fn take(&self) -> (Vec<Left>, Vec<Left>, Vec<String>) {
        let mut record = self.record();
        let Record { delivered, dead, lines, .. } = &mut *record;
        (std::mem::take(delivered), std::mem::take(dead), std::mem::take(lines))
    }
}

impl Observer for Recorder {
    fn enabled(&self) -> bool {
        true
    }

    fn decided(&self, event: &Event, decision: &Decision<'_>) {
        let at = self.clock.now();
        let mut record = self.record();
        let since = super::compare::span(at.duration_since(self.start));
        let line = Step::of(event, decision, Values::Shown).to_string();
        record.lines.push(format!("{since:>9}  {} {}", event.id(), line.replace('\n', "\n             ")));
        let left = |subscriber: &str, address: &str, attempts, reason, event: &Event| Left {
            at,
            subscriber: subscriber.to_owned(),
            address: address.to_owned(),
            attempts,
            reason,
            event: event.clone(),
        };
        match *decision {
            Decision::Delivered { subscriber, address, attempt, .. } => {
                let given = record.given.take().filter(|(to, _)| to == address);
                let event = given.as_ref().map_or(event, |(_, event)| event);
                record.delivered.push(left(subscriber, address, attempt, None, event));
            }
            Decision::Dead { subscriber, reason, attempts, to, .. } => {
                record.dead.push(left(subscriber, to, attempts, Some(reason.as_str()), event));
            }
            _ => {}
        }
    }
}

/// One target of a subscriber.
pub(super) struct Scripted {
    /// The subscriber whose answers it gives; each answer is given once, the last one from then on.
    pub subscriber: String,
    pub address: String,
    pub answers: Vec<Answer>,
    pub config: Config,
    pub recorder: Arc<Recorder>,
}

#[async_trait]
impl Sink for Scripted {
    fn address(&self) -> &str {
        &self.address
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        let answer = {
            let mut record = self.recorder.record();
            record.given = Some((self.address.clone(), event.clone()));
            let count = record.answered.entry(self.subscriber.clone()).or_default();
            let place = (*count).min(self.answers.len().saturating_sub(1));
            *count += 1;
            self.answers.get(place).cloned().unwrap_or_default()
        };
        match answer {
            Answer::Refused => {
                let fault = Fault::new(FaultKind::Unavailable, "deliver", "the connection is refused");
                Err(fault.with_context("address", self.address.as_str()))
            }
            Answer::Timeout => std::future::pending().await,
            Answer::Status { code, retry_after, body, reply } => {
                let mut headers = HeaderMap::new();
                if let Some(seconds) = retry_after {
                    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                let mut bytes = Bytes::from(body);
                if let Some(reply) = reply {
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static(crate::event::codec::JSON));
                    bytes = Bytes::from(reply);
                }
                sink::judge(code, headers, bytes, &self.config, self.recorder.clock.now())
            }
        }
    }
}

/// A topic of the bus, noted like any sink.
pub(super) struct Noted {
    pub sink: Arc<dyn Sink>,
    pub recorder: Arc<Recorder>,
}

#[async_trait]
impl Sink for Noted {
    fn address(&self) -> &str {
        self.sink.address()
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        let accepted = self.sink.deliver(event).await?;
        self.recorder.record().given = Some((self.address().to_owned(), event.clone()));
        Ok(accepted)
    }
}
