//! Leaves a sink alone that fails.
//!
//! Closed, it counts failures in a row: attempts whose event is to be tried again. What a sink takes, or refuses for
//! good, was answered by a sink that works. At its limit it opens: nothing is attempted until its time is over. Then one event
//! at a time finds out whether the sink works again: its attempt closes the breaker, or opens it anew.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::router::route;
use crate::task;

/// How long an event is put aside while another one finds out about the sink.
const PROBING: Duration = Duration::from_secs(1);

/// The breaker in front of one sink.
pub struct Breaker {
    rules: route::Breaker,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    /// Until then, since the breaker was made.
    Open {
        until: Duration,
    },
    Probing,
}

/// Whether an attempt may be made.
pub enum Entrance<'a> {
    /// It may; with the probe when the sink is to be found out about.
    Open(Option<Probe<'a>>),
    /// Not before so long.
    Barred(Duration),
}

/// The one attempt that finds out about the sink. Dropped without a result it leaves that to another.
pub struct Probe<'a>(&'a Breaker);

/// What the result of an attempt changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Opened,
    /// A probe failed: it stays open for longer.
    Reopened,
    Closed,
}

impl Breaker {
    pub fn new(rules: route::Breaker) -> Self {
        Self { rules, elapsed: Box::new(task::stopwatch()), state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// How long no attempt is made once it is open.
    pub fn open_for(&self) -> Duration {
        self.rules.open_for
    }

    pub fn enter(&self) -> Entrance<'_> {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Entrance::Open(None),
            State::Probing => Entrance::Barred(PROBING),
            State::Open { until } => {
                let left = until.saturating_sub((self.elapsed)());
                if left.is_zero() {
                    *state = State::Probing;
                    return Entrance::Open(Some(Probe(self)));
                }
                Entrance::Barred(left)
            }
        }
    }

    /// Notes the result of an attempt that was let in.
    pub fn note(&self, works: bool) -> Option<Change> {
        let open = || State::Open { until: (self.elapsed)().saturating_add(self.rules.open_for) };
        let mut state = self.lock();
        let (next, change) = match (*state, works) {
            (State::Closed { .. }, true) => (State::Closed { failures: 0 }, None),
            (State::Closed { failures }, false) if failures + 1 < self.rules.failures => {
                (State::Closed { failures: failures + 1 }, None)
            }
            (State::Closed { .. }, false) => (open(), Some(Change::Opened)),
            // Also one that began before it opened: whoever answers works.
            (State::Open { .. } | State::Probing, true) => (State::Closed { failures: 0 }, Some(Change::Closed)),
            (State::Probing, false) => (open(), Some(Change::Reopened)),
            (State::Open { .. }, false) => (*state, None),
        };
        *state = next;
        change
    }

    /// Whether it is not closed.
    pub fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed { .. })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        let now = (self.0.elapsed)();
        let mut state = self.0.lock();
        if *state == State::Probing {
            *state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(30);

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(route::Breaker { failures, open_for: OPEN_FOR })
    }

    fn bars(breaker: &Breaker) -> Option<Duration> {
        match breaker.enter() {
            Entrance::Open(_) => None,
            Entrance::Barred(left) => Some(left),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_one_success_between_them_does_not() {
        let breaker = breaker(3);
        for works in [false, false, true, false, false] {
            assert_eq!(breaker.note(works), None);
        }
        assert_eq!((bars(&breaker), breaker.note(false)), (None, Some(Change::Opened)));
        assert_eq!(bars(&breaker), Some(OPEN_FOR));
        assert_eq!(breaker.note(false), None, "one that was on its way");
        task::sleep(OPEN_FOR / 3).await;
        assert_eq!(bars(&breaker), Some(OPEN_FOR / 3 * 2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_decides() {
        let breaker = breaker(1);
        assert_eq!(breaker.note(false), Some(Change::Opened));
        task::sleep(OPEN_FOR).await;
        let Entrance::Open(Some(probe)) = breaker.enter() else { panic!("it is time for a probe") };
        assert_eq!(bars(&breaker), Some(PROBING));
        // A probe that comes to nothing, by a cancelled task, lets the next one try.
        drop(probe);
        let Entrance::Open(Some(probe)) = breaker.enter() else { panic!("another one probes") };
        assert_eq!(breaker.note(false), Some(Change::Reopened));
        drop(probe);
        assert_eq!(bars(&breaker), Some(OPEN_FOR));
        task::sleep(OPEN_FOR).await;
        let Entrance::Open(Some(probe)) = breaker.enter() else { panic!("it is time for a probe") };
        assert_eq!(breaker.note(true), Some(Change::Closed));
        drop(probe);
        assert_eq!(bars(&breaker), None);
    }
}
