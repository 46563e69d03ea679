//! Virtual time: hours that pass in a moment.
//!
//! A [simulated](simulate) task runs on a runtime of its own, on the calling thread. Its time stands still while
//! anything is left to do, and then jumps to the next timer. So whatever keeps to this room for its time runs there
//! as it runs in earnest, always in the same order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Clock;
use crate::fault::{Fault, FaultKind};

thread_local! {
    /// The time of the task that is simulated on this thread.
    static TIMELINE: RefCell<Option<Timeline>> = const { RefCell::new(None) };
}

struct Timeline {
    clock: Clock,
    /// Since the start.
    now: Duration,
    /// Who waits, by the time until when and a number that tells those apart who wait for the same.
    timers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
}

/// Runs what `scenario` makes of the clock, which begins at `start`, in virtual time. It must not wait for anything
/// but its own tasks and timers: where there is no timer left, it would wait for ever.
///
/// # Errors
/// `Internal` when it panics, or when there can be no runtime.
pub fn simulate<F>(start: Timestamp, scenario: impl FnOnce(Clock) -> F) -> Result<F::Output, Fault>
where
    F: Future<Output: Send> + Send + 'static,
{
    let clock = Clock::manual(start);
    let fault = |text: &str| Fault::new(FaultKind::Internal, "simulate", text);
    let runtime = tokio::runtime::Builder::new_current_thread().on_thread_park(jump).build();
    let runtime = runtime.map_err(|error| fault("there can be no runtime").with_source(error))?;
    let timeline = Timeline { clock: clock.clone(), now: Duration::ZERO, timers: BTreeMap::new(), next: 0 };
    TIMELINE.set(Some(timeline));
    let _left = Leave;
    // As a task: the runtime polls tasks first, and goes to rest only when none of them is ready.
    #[expect(clippy::disallowed_methods, reason = "this room is the one that spawns")]
    let done = runtime.block_on(async { tokio::spawn(scenario(clock)).await });
    done.map_err(|error| fault("it panicked").with_source(error))
}

/// Ends virtual time on this thread.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        TIMELINE.set(None);
    }
}

/// Nothing is left to do: the time of the next timer has come.
fn jump() {
    let woken = TIMELINE.with_borrow_mut(|timeline| {
        let timeline = timeline.as_mut()?;
        let ((at, _), _) = timeline.timers.first_key_value()?;
        let at = *at;
        timeline.clock.advance(at.saturating_sub(timeline.now));
        timeline.now = at;
        let later = timeline.timers.split_off(&(at, u64::MAX));
        Some(std::mem::replace(&mut timeline.timers, later))
    });
    // Outside of the borrow: a waker may run anything.
    woken.into_iter().flatten().for_each(|(_, waker)| waker.wake());
}

/// A moment, in whichever time this thread lives.
#[derive(Clone, Copy)]
pub(super) enum Moment {
    Real(Instant),
    Virtual(Duration),
}

impl Moment {
    pub(super) fn now() -> Self {
        now().map_or_else(|| Self::Real(Instant::now()), Self::Virtual)
    }

    pub(super) fn elapsed(&self) -> Duration {
        match self {
            Self::Real(start) => start.elapsed(),
            Self::Virtual(start) => now().unwrap_or_default().saturating_sub(*start),
        }
    }
}

fn now() -> Option<Duration> {
    TIMELINE.with_borrow(|timeline| timeline.as_ref().map(|timeline| timeline.now))
}

/// A timer of virtual time; `None` where time is real.
pub(super) fn sleep(duration: Duration) -> Option<Sleep> {
    // The clock counts microseconds; a timer must not be over before the clock says so.
    let micros = u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
    Some(Sleep { at: now()?.saturating_add(Duration::from_micros(micros)), number: None })
}

/// Resolves when its time has come. Cancel-safe.
pub(super) struct Sleep {
    at: Duration,
    /// Its number among the timers, once it is one.
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        TIMELINE.with_borrow_mut(|timeline| match timeline {
            Some(timeline) if timeline.now < self.at => {
                let number = *self.number.get_or_insert_with(|| {
                    timeline.next += 1;
                    timeline.next
                });
                timeline.timers.insert((self.at, number), context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let waker = TIMELINE.with_borrow_mut(|timeline| timeline.as_mut()?.timers.remove(&(self.at, number)));
        drop(waker);
    }
}

/// As [`super::within`], in virtual time.
pub(super) async fn within<F: Future>(limit: Sleep, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = limit => None,
    }
}
