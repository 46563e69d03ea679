//! Waits for the ticks and hands them out.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::config::Config;
use super::mark::{Mark, Past};
use super::missed::resume;
use crate::event::{Data, Draft, Event};
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Handout, Kept, Position, Store};
use crate::task::{Clock, Group, Shutdown, sleep};

/// The longest sleep, and so the longest time until a clock that was set forward is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// A tick whose turn comes later than this was missed: the machine slept, the clock was set forward,
/// or the tick before it could not be kept for so long. `catchUp` says what becomes of it. At the
/// start, whatever is past was missed.
const LATE: SignedDuration = SignedDuration::from_secs(60);

/// One schedule and where its ticks go. The identity begins every tick's id.
pub type Entry = flow::Entry<Config>;

/// Runs schedules, each on its own: one that cannot hand out its ticks does not stop the others.
pub struct Source {
    entries: Vec<Entry>,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Source {
    /// `store` keeps how far each schedule has come, under the key `cron/` and its identity.
    pub fn new(entries: Vec<Entry>, store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { entries, store, clock }
    }
}

#[async_trait]
impl flow::Source for Source {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        let mut timers = Group::new(&shutdown);
        for entry in self.entries {
            let mark = Mark::new(Arc::clone(&self.store), &entry.identity, &entry.config.schedule);
            let timer = Timer { entry, mark, clock: self.clock.clone(), shutdown: timers.shutdown().clone() };
            timers.spawn(timer.run());
        }
        timers.join().await
    }
}

/// One schedule at work.
struct Timer {
    entry: Entry,
    mark: Mark,
    clock: Clock,
    shutdown: Shutdown,
}

impl Timer {
    async fn run(self) -> Result<(), Fault> {
        let Some(mut done) = self.start().await? else { return Ok(()) };
        // Over the ticks up to here it has been decided whether they are made up for.
        let mut decided = self.clock.now();
        loop {
            let Some(tick) = self.entry.config.schedule.next_after(done) else {
                tracing::warn!(schedule = %self.entry.config.schedule, "the schedule has no further tick");
                self.shutdown.requested().await;
                return Ok(());
            };
            let now = self.clock.now();
            if tick > now {
                let wait = Duration::try_from(tick.duration_since(now)).unwrap_or_default();
                if self.pause(wait.min(MAX_SLEEP)).await.is_break() {
                    return Ok(());
                }
            } else if tick > decided && now.duration_since(tick) > LATE {
                decided = now.checked_sub(LATE).unwrap_or(now);
                done = self.make_up(done, decided);
            } else if self.emit(tick).await?.is_break() {
                return Ok(());
            } else {
                done = tick;
            }
        }
    }

    /// The time after which the next tick is due, once the store has told of the past; `None`
    /// when the stop was asked for meanwhile.
    async fn start(&self) -> Result<Option<Timestamp>, Fault> {
        let mut failures = 0;
        let past = loop {
            match self.mark.load().await {
                Ok(past) => break past,
                Err(fault) if fault.is_retryable() => {
                    failures += 1;
                    tracing::warn!(
                        fault = fault.chain(),
                        identity = self.entry.identity,
                        "the schedule waits for its store"
                    );
                    if self.pause(Handout::AGAIN.pause(failures)).await.is_break() {
                        return Ok(None);
                    }
                }
                Err(fault) => return Err(fault),
            }
        };
        let now = self.clock.now();
        let done = match past {
            Past::New(None) => now,
            Past::New(Some(until)) => until.max(now),
            Past::Until(until) => self.make_up(until, now),
        };
        if done.duration_since(now) > LATE {
            // Firing again before that time could repeat a tick.
            tracing::warn!(
                until = %done,
                identity = self.entry.identity,
                "the schedule ran up to a time that is ahead of the clock, and goes on from there"
            );
        }
        // Without this, a stop before the first tick would forget what was missed.
        self.save(done).await;
        Ok(Some(done))
    }

    /// Decides over the ticks after `done` up to `until`, and says after which time to go on.
    fn make_up(&self, done: Timestamp, until: Timestamp) -> Timestamp {
        let resume = resume(&self.entry.config.schedule, self.entry.config.catch_up, done, until);
        if let Some((first, last)) = resume.skipped {
            tracing::warn!(%first, %last, identity = self.entry.identity, "missed ticks are left out");
        }
        resume.from
    }

    /// Hands a tick out until it is kept; breaks when the stop was asked for before that.
    async fn emit(&self, tick: Timestamp) -> Result<ControlFlow<()>, Fault> {
        let position = Position { major: u64::try_from(tick.as_microsecond()).unwrap_or_default(), minor: 0 };
        let outlet = self.entry.outlet.clone();
        // Even one that is refused for good comes again: the ticks after it would not fare better.
        let handout = Handout::new(outlet, Ok(self.event(tick)?), position, tick, 1).insisting();
        match handout.kept(self.shutdown.clone()).await {
            Kept::Yes => {
                self.save(tick).await;
                Ok(ControlFlow::Continue(()))
            }
            // It comes again after the restart.
            Kept::Stopped if self.shutdown.is_requested() => Ok(ControlFlow::Break(())),
            Kept::Stopped => Err(Fault::new(FaultKind::Closed, "keep a tick", "nobody takes it")),
            Kept::Never(fault) => Err(fault),
        }
    }

    fn event(&self, tick: Timestamp) -> Result<Event, Fault> {
        let Entry { config, identity, source, ty, .. } = &self.entry;
        let mut draft = Draft::new(format!("{identity}/{tick}"), source, ty).with("time", tick.to_string());
        if let Some(data) = &config.data {
            draft = draft.with("datacontenttype", "application/json").data(Data::Text(data));
        }
        draft.build().map_err(|error| {
            Fault::new(FaultKind::Internal, "make a tick", "its attributes are not valid").with_source(error)
        })
    }

    /// Failing is no reason to stop: the next tick's mark covers this one, and at worst a restart
    /// repeats ticks under their old ids.
    async fn save(&self, until: Timestamp) {
        if let Err(fault) = self.mark.save(until).await {
            tracing::warn!(
                fault = fault.chain(),
                identity = self.entry.identity,
                "how far a schedule came is not saved"
            );
        }
    }

    /// Breaks when the stop is asked for meanwhile.
    async fn pause(&self, pause: Duration) -> ControlFlow<()> {
        tokio::select! {
            () = self.shutdown.requested() => ControlFlow::Break(()),
            () = sleep(pause) => ControlFlow::Continue(()),
        }
    }
}
