//! What holds attempts back: `rateLimit` (Argo's words) and `circuitBreaker`.

use std::time::Duration;

use super::check;
use crate::api::trigger::{CircuitBreakerSpec, RateLimitSpec};
use crate::api::{FieldPath, Problems, value};

/// More attempts in a unit are no limit: a router makes fewer.
const MAX_REQUESTS: u32 = 1_000_000;
/// More failures in a row are no sign of trouble that anybody waits for.
const MAX_FAILURES: u32 = 10_000;

/// How often attempts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Attempts in each `unit`; at least 1.
    pub requests: u32,
    pub unit: Duration,
}

impl Rate {
    pub(super) fn parse(spec: &RateLimitSpec, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let units = [("Second", 1), ("Minute", 60), ("Hour", 3600)];
        let unit = match spec.unit.as_deref().filter(|unit| !unit.is_empty()) {
            Some(unit) => value::word(unit, &units, &path.field("unit"), problems),
            None => Some(1),
        };
        let requests =
            check::bounded(spec.requests_per_unit, 1, MAX_REQUESTS, &path.field("requestsPerUnit"), problems);
        Some(Self { requests: requests?, unit: Duration::from_secs(unit?) })
    }

    /// The time from one attempt to the next.
    pub fn interval(self) -> Duration {
        self.unit / self.requests.max(1)
    }
}

/// When a failing sink is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// So many failures in a row open it; at least 1.
    pub failures: u32,
    /// How long no attempt is made then.
    pub open_for: Duration,
}

impl Default for Breaker {
    /// 10 failures, 30 seconds.
    fn default() -> Self {
        Self { failures: 10, open_for: Duration::from_secs(30) }
    }
}

impl Breaker {
    pub(super) fn parse(spec: &CircuitBreakerSpec, path: &FieldPath, problems: &mut Problems) -> Self {
        let defaults = Self::default();
        let failures = spec.consecutive_failures.and_then(|failures| {
            check::bounded(failures, 1, MAX_FAILURES, &path.field("consecutiveFailures"), problems)
        });
        let open_for =
            spec.open_for.as_deref().and_then(|span| value::positive_span(span, &path.field("openFor"), problems));
        Self { failures: failures.unwrap_or(defaults.failures), open_for: open_for.unwrap_or(defaults.open_for) }
    }
}
