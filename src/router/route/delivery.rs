//! The `delivery` block (Knative's words): of a subscriber, of a direct sink, and of a bus, whose
//! block holds for all its subscribers, field by field, where they say nothing themselves.

use std::time::Duration;

use super::{DeadLetter, Growth, Target, check};
use crate::api::trigger::DeliverySpec;
use crate::api::{FieldPath, Problems, SinkSpec, value};

/// The most retries taken: with the default longest pause, five weeks; beyond it is a slip.
pub(super) const MAX_RETRIES: u32 = 10_000;

/// What a block sets; `None` is left to the next one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Delivery {
    pub(super) attempts: Option<u32>,
    pub(super) growth: Option<Growth>,
    pub(super) base: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) retry_after_max: Option<Duration>,
    pub(super) structured: Option<bool>,
    pub(super) dead_letter: Option<DeadLetter>,
}

impl Delivery {
    /// Reads the block that stands at `path`. References without a namespace are to `namespace`.
    pub(super) fn parse(spec: &DeliverySpec, namespace: &str, path: &FieldPath, problems: &mut Problems) -> Self {
        let policies = [("exponential", Growth::DOUBLING), ("linear", Growth::Linear)];
        let formats = [("binary", false), ("structured", true)];
        let retries =
            spec.retry.and_then(|retries| check::bounded(retries, 0, MAX_RETRIES, &path.field("retry"), problems));
        Self {
            attempts: retries.map(|retries| retries + 1),
            growth: spec
                .backoff_policy
                .as_deref()
                .and_then(|policy| value::word(policy, &policies, &path.field("backoffPolicy"), problems)),
            base: spec
                .backoff_delay
                .as_deref()
                .and_then(|delay| value::positive_span(delay, &path.field("backoffDelay"), problems)),
            timeout: spec
                .timeout
                .as_deref()
                .and_then(|timeout| value::positive_span(timeout, &path.field("timeout"), problems)),
            // Zero is Knative's way to have `Retry-After` ignored.
            retry_after_max: spec
                .retry_after_max
                .as_deref()
                .and_then(|most| value::span(most, &path.field("retryAfterMax"), problems)),
            structured: spec
                .format
                .as_deref()
                .and_then(|format| value::word(format, &formats, &path.field("format"), problems)),
            dead_letter: DeadLetter::parse(
                spec.dead_letter_sink.as_ref(),
                spec.dead_letter_topic.as_deref(),
                namespace,
                path,
                problems,
            ),
        }
    }

    /// This block, and `defaults` where it says nothing.
    pub(super) fn or(&self, defaults: &Self) -> Self {
        Self {
            attempts: self.attempts.or(defaults.attempts),
            growth: self.growth.or(defaults.growth),
            base: self.base.or(defaults.base),
            timeout: self.timeout.or(defaults.timeout),
            retry_after_max: self.retry_after_max.or(defaults.retry_after_max),
            structured: self.structured.or(defaults.structured),
            dead_letter: self.dead_letter.clone().or_else(|| defaults.dead_letter.clone()),
        }
    }
}

impl DeadLetter {
    /// Reads `deadLetterSink` and `deadLetterTopic` of the block at `path`; `None` when it has
    /// neither. Released `OpenFunction` takes both, so both are written to.
    pub(super) fn parse(
        sink: Option<&SinkSpec>,
        topic: Option<&str>,
        namespace: &str,
        path: &FieldPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        let sink = sink.map(|sink| Target::parse(sink, namespace, &path.field("deadLetterSink"), problems));
        let topic = topic.map(|topic| Target::parse_topic(topic, &path.field("deadLetterTopic"), problems));
        let targets: Vec<Target> = [sink, topic].into_iter().flatten().flatten().collect();
        (!targets.is_empty()).then_some(Self::Targets(targets))
    }
}
