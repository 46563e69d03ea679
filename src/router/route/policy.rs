//! How a subscriber's events are delivered.
//!
//! Two blocks say how often and when: `delivery` (Knative's words) and `retryStrategy` (Argo's).
//! They exclude each other and have one meaning. What a `delivery` block leaves out comes from the
//! bus, then from the defaults of [`Policy`]. A `retryStrategy` is complete in itself, with Argo's
//! own defaults: 5 attempts in total (also for `steps: 0`), 1 s apart (`duration`, `factor` 1), each
//! pause up to doubled (`jitter` 1); only timeout, `Retry-After` and format come from the bus then.

use std::time::Duration;

use super::delivery::{Delivery, MAX_RETRIES};
use super::{Breaker, Rate, check};
use crate::api::trigger::{RetryStrategy, StatusPolicy, SubscriberSpec};
use crate::api::{FieldPath, Problems, duration, value};

/// The most attempts of one subscriber at the same time: each holds an event and a connection.
const MAX_CONCURRENCY: u32 = 10_000;
/// The largest factor between two pauses: with it, the second retry is already at any sensible cap.
const MAX_FACTOR: f64 = 1000.0;

/// Retries, times and limits of one subscriber.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Attempts in total, the first included; at least 1.
    pub attempts: u32,
    /// The pause after the first failed attempt.
    pub base: Duration,
    /// How the pauses grow.
    pub growth: Growth,
    /// Up to this share of a pause is added at random.
    pub jitter: f64,
    /// No pause is longer than this (before jitter). Never shorter than `base`.
    pub cap: Duration,
    /// How long after the first failure the event is given up.
    pub deadline: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The longest `Retry-After` that is honoured; a longer one counts as this.
    pub retry_after_max: Duration,
    /// Which status codes are success.
    pub success: StatusCodes,
    /// Attempts at the same time; at least 1.
    pub concurrency: usize,
    /// How often attempts are made; as often as there are events when absent.
    pub rate: Option<Rate>,
    /// When attempts stop because they fail.
    pub breaker: Option<Breaker>,
    /// One attempt, no retry, no dead letter; acknowledged whatever the outcome.
    pub at_most_once: bool,
    /// HTTP content mode.
    pub structured: bool,
    /// Whether an event that the sink answers with goes back to the bus.
    pub reply: bool,
}

/// 10 retries, exponential from 200 ms with jitter 0.2, cap 5 min, deadline 24 h, timeout 30 s,
/// `Retry-After` up to 5 min, every 2xx is success, 64 at the same time.
impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 11,
            base: Duration::from_millis(200),
            growth: Growth::DOUBLING,
            jitter: 0.2,
            cap: Duration::from_secs(5 * 60),
            deadline: Duration::from_secs(24 * 3600),
            timeout: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(5 * 60),
            success: StatusCodes::Every2xx,
            concurrency: 64,
            rate: None,
            breaker: None,
            at_most_once: false,
            structured: false,
            reply: false,
        }
    }
}

/// How pauses grow from failure to failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// Each pause is the one before times the factor.
    Exponential(f64),
    /// The n-th pause is n times the first.
    Linear,
}

impl Growth {
    /// What Knative's `exponential` means.
    pub(super) const DOUBLING: Self = Self::Exponential(2.0);
}

/// Which status codes are success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StatusCodes {
    #[default]
    Every2xx,
    /// Exactly these, ascending.
    Only(Vec<u16>),
}

impl Policy {
    /// Reads everything of a subscriber that is about attempts. `own` is its `delivery` block, or an
    /// empty one.
    pub(super) fn parse(
        spec: &SubscriberSpec,
        own: &Delivery,
        bus: &Delivery,
        path: &FieldPath,
        problems: &mut Problems,
    ) -> Self {
        let mut policy = Self::of_delivery(&own.or(bus));
        if let Some(strategy) = &spec.retry_strategy {
            let path = path.field("retryStrategy");
            if spec.delivery.is_some() {
                problems.push_help(&path, "excludes \"delivery\"", "write one of the two blocks");
            }
            policy.follow(strategy, &path, problems);
        }
        if let Some(status) = &spec.status_policy {
            policy.success = StatusCodes::parse(status, &path.field("statusPolicy").field("allow"), problems);
        }
        let concurrency = spec.concurrency.and_then(|concurrency| {
            check::bounded(concurrency, 1, MAX_CONCURRENCY, &path.field("concurrency"), problems)
        });
        if let Some(concurrency) = concurrency {
            policy.concurrency = concurrency as usize;
        }
        policy.rate = spec.rate_limit.as_ref().and_then(|spec| Rate::parse(spec, &path.field("rateLimit"), problems));
        let breaker = spec.circuit_breaker.as_ref();
        policy.breaker = breaker.map(|spec| Breaker::parse(spec, &path.field("circuitBreaker"), problems));
        policy.reply = spec.reply == Some(true);
        if spec.at_most_once == Some(true) {
            refuse_second_attempts(spec, own, path, problems);
            policy.at_most_once = true;
            policy.attempts = 1;
        }
        policy
    }

    /// The policy of a `delivery` block alone.
    pub(super) fn of_delivery(delivery: &Delivery) -> Self {
        let defaults = Self::default();
        let base = delivery.base.unwrap_or(defaults.base);
        Self {
            attempts: delivery.attempts.unwrap_or(defaults.attempts),
            base,
            growth: delivery.growth.unwrap_or(defaults.growth),
            // The block has no word for the cap, so a longer first pause moves it.
            cap: defaults.cap.max(base),
            timeout: delivery.timeout.unwrap_or(defaults.timeout),
            retry_after_max: delivery.retry_after_max.unwrap_or(defaults.retry_after_max),
            structured: delivery.structured.unwrap_or(defaults.structured),
            ..defaults
        }
    }

    fn follow(&mut self, strategy: &RetryStrategy, path: &FieldPath, problems: &mut Problems) {
        let defaults = Self::default();
        self.attempts = match strategy.steps {
            None | Some(0) => 5,
            Some(steps) => check::bounded(steps, 1, MAX_RETRIES + 1, &path.field("steps"), problems).unwrap_or(1),
        };
        self.base = Duration::from_secs(1);
        if let Some(written) = &strategy.duration {
            match duration::parse_or_nanos(written) {
                Ok(base) if base.is_zero() => problems.push(&path.field("duration"), "must be longer than zero"),
                Ok(base) => self.base = base,
                Err(message) => problems.push(&path.field("duration"), message),
            }
        }
        // Argo: a factor of 0 leaves the pauses as they are.
        let factor = share(strategy.factor, MAX_FACTOR, &path.field("factor"), problems).filter(|factor| *factor > 0.0);
        self.growth = Growth::Exponential(factor.unwrap_or(1.0));
        self.jitter = share(strategy.jitter, 1.0, &path.field("jitter"), problems).unwrap_or(1.0);
        let cap_path = path.field("cap");
        let cap = strategy.cap.as_deref().and_then(|cap| value::positive_span(cap, &cap_path, problems));
        if cap.is_some_and(|cap| cap < self.base) {
            problems.push(&cap_path, "must not be shorter than the first pause (\"duration\")");
        }
        self.cap = cap.unwrap_or(defaults.cap).max(self.base);
        let deadline = strategy.deadline.as_deref();
        self.deadline = deadline
            .and_then(|deadline| value::positive_span(deadline, &path.field("deadline"), problems))
            .unwrap_or(defaults.deadline);
    }
}

/// A number from 0 to `most`.
fn share(number: Option<f64>, most: f64, path: &FieldPath, problems: &mut Problems) -> Option<f64> {
    let number = number?;
    if (0.0..=most).contains(&number) {
        return Some(number);
    }
    problems.push(path, format!("must be 0 to {most}, not {number}"));
    None
}

/// Everything that asks for more than the one attempt of `atMostOnce`.
fn refuse_second_attempts(spec: &SubscriberSpec, own: &Delivery, path: &FieldPath, problems: &mut Problems) {
    let delivery = path.field("delivery");
    let block = spec.delivery.as_ref();
    let set = [
        (path.field("retryStrategy"), spec.retry_strategy.is_some()),
        (delivery.field("retry"), own.attempts.is_some_and(|attempts| attempts > 1)),
        (path.field("deadLetterSink"), spec.dead_letter_sink.is_some()),
        (path.field("deadLetterTopic"), spec.dead_letter_topic.is_some()),
        (delivery.field("deadLetterSink"), block.is_some_and(|block| block.dead_letter_sink.is_some())),
        (delivery.field("deadLetterTopic"), block.is_some_and(|block| block.dead_letter_topic.is_some())),
    ];
    for (path, _) in set.into_iter().filter(|(_, set)| *set) {
        problems.push(&path, "contradicts \"atMostOnce\": there is one attempt, and nothing is kept when it fails");
    }
}

impl StatusCodes {
    fn parse(policy: &StatusPolicy, path: &FieldPath, problems: &mut Problems) -> Self {
        if policy.allow.is_empty() {
            problems.push(path, "must name at least one status code");
        }
        for (index, code) in policy.allow.iter().enumerate().filter(|(_, code)| !(100..=599).contains(*code)) {
            problems.push(&path.index(index), format!("{code} is no HTTP status code: they are 100 to 599"));
        }
        let mut codes = policy.allow.clone();
        codes.sort_unstable();
        codes.dedup();
        Self::Only(codes)
    }
}
