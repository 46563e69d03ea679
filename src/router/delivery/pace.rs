//! How often attempts at one sink are made.
//!
//! Attempts are as far apart as the rate says; nothing is saved up in quiet times. Who finds the next moment near waits
//! for it. Who does not is put aside until a moment that is booked for it behind all others, so that
//! events come back about as fast as they may go out, and in about the order in which they came.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::gate::PATIENCE;
use crate::router::route::Rate;
use crate::task;

/// The pace at one sink.
pub struct Pace {
    interval: Duration,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    moments: Mutex<Moments>,
}

/// Since the pace was made.
#[derive(Default)]
struct Moments {
    /// When the next attempt may be made.
    next: Duration,
    /// Behind all that was booked.
    booked: Duration,
}

impl Pace {
    pub fn new(rate: Rate) -> Self {
        Self { interval: rate.interval(), elapsed: Box::new(task::stopwatch()), moments: Mutex::default() }
    }

    /// Takes the next moment and says how far off it is. None when it is further off than anybody waits in place
    /// (at all, unless `patient`), or when others are due before: those that were put aside, unless this
    /// is one of them (`returns`).
    pub fn turn(&self, patient: bool, returns: bool) -> Option<Duration> {
        let now = (self.elapsed)();
        let mut moments = self.lock();
        let next = moments.next.max(now);
        let patience = if patient { PATIENCE } else { Duration::ZERO };
        let others_first = !returns && moments.booked > now + PATIENCE;
        if others_first || next.saturating_sub(now) > patience {
            return None;
        }
        moments.next = next.saturating_add(self.interval);
        moments.booked = moments.booked.max(moments.next);
        Some(next.saturating_sub(now))
    }

    /// Books a moment behind all others, and says how far off it is.
    pub fn book(&self) -> Duration {
        let now = (self.elapsed)();
        let mut moments = self.lock();
        let at = moments.booked.max(moments.next).max(now);
        moments.booked = at.saturating_add(self.interval);
        at.saturating_sub(now)
    }

    fn lock(&self) -> MutexGuard<'_, Moments> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn per_second(requests: u32) -> Pace {
        Pace::new(Rate { requests, unit: SECOND })
    }

    #[tokio::test(start_paused = true)]
    async fn moments_are_an_interval_apart_and_nothing_is_saved_up() {
        let pace = per_second(2);
        let wait = |millis| Some(Duration::from_millis(millis));
        assert_eq!(pace.turn(true, false), wait(0));
        assert_eq!(pace.turn(true, false), wait(500));
        task::sleep(SECOND * 60).await;
        assert_eq!(pace.turn(true, false), wait(0));
        assert_eq!(pace.turn(false, false), None, "it is not near enough for who does not wait");
        assert_eq!(pace.turn(true, false), wait(500));
        assert_eq!(pace.turn(true, false), wait(1000));
        assert_eq!(pace.turn(true, false), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_aside_goes_before_what_came_later() {
        let pace = per_second(1);
        assert_eq!((pace.turn(true, false), pace.turn(true, false)), (Some(Duration::ZERO), Some(SECOND)));
        assert_eq!((pace.turn(true, false), pace.book()), (None, SECOND * 2));
        assert_eq!((pace.turn(true, false), pace.book()), (None, SECOND * 3));
        task::sleep(SECOND * 2).await;
        assert_eq!(pace.turn(true, false), None, "one that was put aside is due now, another in a second");
        assert_eq!((pace.turn(true, true), pace.book()), (Some(Duration::ZERO), SECOND * 2));
        task::sleep(SECOND).await;
        assert_eq!(pace.turn(true, true), Some(Duration::ZERO));
    }
}
