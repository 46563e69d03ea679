//! Which of the ticks that were missed are made up for. Pure.

use jiff::{SignedDuration, Timestamp};

use super::config::{CatchUp, Schedule};

/// The most ticks that are made up for at once. A schedule of every second misses as many in a
/// quarter of an hour; whoever was away longer wants to go on, not to relive it.
pub(super) const MAX_CATCH_UP: usize = 1000;

/// The smallest step of time that positions know.
const MICROSECOND: SignedDuration = SignedDuration::from_micros(1);

/// Where a schedule goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// The next tick is the first after this.
    pub from: Timestamp,
    /// The first and the last of the ticks that are left out, if any are.
    pub skipped: Option<(Timestamp, Timestamp)>,
}

/// Decides over the ticks after `from` up to `now`.
pub(super) fn resume(schedule: &Schedule, catch_up: CatchUp, from: Timestamp, now: Timestamp) -> Resume {
    let nothing = Resume { from, skipped: None };
    let Some(first) = schedule.next_after(from).filter(|tick| *tick <= now) else { return nothing };
    let keep = match catch_up {
        CatchUp::None => 0,
        CatchUp::Last => 1,
        CatchUp::All => MAX_CATCH_UP,
    };
    // From now backwards, so that the cost follows what is kept and not how long the stop was.
    let mut go_on = now.checked_add(MICROSECOND).unwrap_or(now);
    for _ in 0..keep {
        match schedule.last_before(go_on) {
            Some(tick) if tick >= first => go_on = tick,
            _ => return nothing,
        }
    }
    match schedule.last_before(go_on) {
        Some(last) if last >= first => {
            let from = go_on.checked_sub(MICROSECOND).unwrap_or(go_on);
            Resume { from, skipped: Some((first, last)) }
        }
        _ => nothing,
    }
}
