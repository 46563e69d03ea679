//! The pause before the next attempt.

use std::time::Duration;

/// How the pauses grow from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub base: Duration,
    /// Each pause is the one before times this; 1 keeps it constant.
    pub factor: f64,
    /// Up to this share of the pause is added at random, so that many clients do not return at once.
    pub jitter: f64,
    /// No pause is longer than this (before jitter).
    pub cap: Duration,
}

impl Backoff {
    /// The pause after `failures` failed attempts in a row (1 for the first), with jitter drawn
    /// from `random` in 0..1. Pure, so that tests decide.
    pub fn pause_with(&self, failures: u32, random: f64) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = (self.base.as_secs_f64() * self.factor.powi(exponent)).min(self.cap.as_secs_f64());
        let jittered = seconds * (1.0 + self.jitter * random);
        Duration::try_from_secs_f64(jittered).unwrap_or(self.cap)
    }

    /// The pause after `failures` failed attempts in a row, with random jitter.
    pub fn pause(&self, failures: u32) -> Duration {
        self.pause_with(failures, fastrand::f64())
    }
}

impl Default for Backoff {
    /// 200 ms doubling up to 5 minutes with a fifth of jitter: the delivery default (api.md).
    fn default() -> Self {
        Self { base: Duration::from_millis(200), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(300) }
    }
}
