//! When the next attempt is made, or that there is none. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::fault::{Fault, Retry};
use crate::flow::letter::Reason;
use crate::router::route::{Growth, Policy};
use crate::task::Backoff;

/// The shortest time that an event is put aside because its sink is busy.
const SHORTEST_DEFERRAL: Duration = Duration::from_secs(1);

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Pause(Duration),
    GiveUp(Reason),
}

/// What follows `attempts` failed attempts, the last of which failed now with `fault`, the first at
/// `first`. `random` in 0..1 decides on jitter.
pub(super) fn next(
    policy: &Policy,
    attempts: u32,
    first: Timestamp,
    now: Timestamp,
    fault: &Fault,
    random: f64,
) -> Next {
    let pause = pause(policy, attempts, random);
    let pause = match fault.retry() {
        Retry::Never => return Next::GiveUp(Reason::Rejected),
        Retry::Backoff => pause,
        Retry::After(asked) => pause.max(asked.min(policy.retry_after_max)),
    };
    if attempts >= policy.attempts {
        return Next::GiveUp(Reason::Attempts);
    }
    // An attempt after the deadline is not made, so there is nothing to wait for.
    if age(first, now) + pause > policy.deadline { Next::GiveUp(Reason::Deadline) } else { Next::Pause(pause) }
}

/// How long an event is put aside that has waited for its busy sink since `first`: half as long
/// again as it has waited, so that a queue that grows does not go round ever faster.
pub(super) fn deferral(policy: &Policy, first: Timestamp, now: Timestamp, random: f64) -> Next {
    let age = age(first, now);
    if age > policy.deadline {
        return Next::GiveUp(Reason::Deadline);
    }
    let pause = (age / 2).clamp(SHORTEST_DEFERRAL, policy.cap.max(SHORTEST_DEFERRAL));
    Next::Pause(pause.mul_f64(1.0 + policy.jitter.clamp(0.0, 1.0) * random))
}

/// How long an event is put aside whose circuit breaker is open for `left`. The more often it was put aside, the longer, so
/// that a long outage does not send many events round and round.
pub(super) fn until_closed(policy: &Policy, left: Duration, parks: u32, random: f64) -> Duration {
    let cap = policy.cap.max(SHORTEST_DEFERRAL);
    let backoff = Backoff { base: SHORTEST_DEFERRAL, factor: 1.5, jitter: 0.0, cap };
    let pause = left.max(backoff.pause_with(parks.saturating_add(1), 0.0));
    pause.mul_f64(1.0 + policy.jitter.clamp(0.0, 1.0) * random)
}

fn pause(policy: &Policy, failures: u32, random: f64) -> Duration {
    let (base, cap, jitter) = (policy.base, policy.cap, policy.jitter);
    let (base, factor, failures) = match policy.growth {
        Growth::Exponential(factor) => (base, factor, failures),
        Growth::Linear => (base.saturating_mul(failures.max(1)), 1.0, 1),
    };
    Backoff { base, factor, jitter, cap }.pause_with(failures, random)
}

fn age(first: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(first)).unwrap_or_default()
}
