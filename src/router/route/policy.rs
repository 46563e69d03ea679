//! How a subscriber's events are delivered.

use std::time::Duration;

/// Retries, times and limits of one subscriber. The durations are as in the documentation of the
/// `delivery` and `retryStrategy` blocks, which have one meaning here.
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
    /// No pause is longer than this (before jitter).
    pub cap: Duration,
    /// How long after the first failure the event is given up.
    pub deadline: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The longest `Retry-After` that is honoured; a longer one counts as this.
    pub retry_after_max: Duration,
    /// Which status codes are success.
    pub success: StatusCodes,
    /// Attempts at the same time.
    pub concurrency: usize,
    /// One attempt, no retry, no dead letter; acknowledged whatever the outcome.
    pub at_most_once: bool,
    /// HTTP content mode.
    pub structured: bool,
}

/// How pauses grow from failure to failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// Each pause is the one before times the factor.
    Exponential(f64),
    /// The n-th pause is n times the first.
    Linear,
}

/// Which status codes are success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StatusCodes {
    #[default]
    Every2xx,
    /// Exactly these.
    Only(Vec<u16>),
}
