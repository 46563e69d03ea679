//! One log line for each decision about an event, as many as a person can read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;

use super::ledger::Ledger;
use crate::api::any::IntOrText;
use crate::api::quantity;
use crate::event::Event;
use crate::router::decision::{All, Decision, Observer, Unobserved};
use crate::router::filter::Values;
use crate::router::journal::SMALLEST;
use crate::task::{self, Clock};

/// What is told of the events on their way.
#[derive(Args, Clone, Debug)]
pub struct Telling {
    /// No line for each decision, and no live summary
    #[arg(long, short)]
    quiet: bool,

    /// Show values of the data of events in these lines and under /explain; without it they are named by kind and
    /// length
    #[arg(long)]
    show_data: bool,

    /// How much memory the latest events and decisions may take that are served under /explain, such as 4Mi; 0
    /// keeps none
    #[arg(long, default_value = "4Mi", value_name = "SIZE", value_parser = journal_size)]
    journal: usize,
}

/// The largest journal: its places are counted in 32 bits.
const LARGEST_JOURNAL: u64 = 1 << 30;

fn journal_size(text: &str) -> Result<usize, String> {
    let bytes = quantity::parse(&IntOrText::Text(text.to_owned()))?;
    let size = usize::try_from(bytes).ok().filter(|_| bytes <= LARGEST_JOURNAL);
    let size = size.filter(|size| *size == 0 || *size >= SMALLEST);
    size.ok_or_else(|| format!("a journal is 0, or from {}Ki to {}Gi", SMALLEST >> 10, LARGEST_JOURNAL >> 30))
}

impl Telling {
    /// Who tells it; nobody with `--quiet`.
    pub fn narrator(&self) -> Option<Arc<Narrator>> {
        (!self.quiet).then(|| Arc::new(Narrator::new(self.values())))
    }

    /// Who keeps it; nobody with `--journal 0`.
    pub fn ledger(&self, clock: &Clock) -> Option<Arc<Ledger>> {
        (self.journal > 0).then(|| Arc::new(Ledger::new(self.journal, self.values(), clock.clone())))
    }

    const fn values(&self) -> Values {
        if self.show_data { Values::Shown } else { Values::Redacted }
    }

    /// The same, for the command line of a child process.
    pub fn arguments(&self) -> Vec<String> {
        let set = [(self.quiet, "--quiet"), (self.show_data, "--show-data")];
        let set = set.iter().filter(|(set, _)| *set).map(|(_, word)| (*word).to_owned());
        set.chain([format!("--journal={}", self.journal)]).collect()
    }
}

/// Who learns of decisions: those of the two that there are.
pub fn observer(narrator: Option<Arc<Narrator>>, ledger: Option<&Arc<Ledger>>) -> Arc<dyn Observer> {
    let narrator = narrator.map(|narrator| narrator as Arc<dyn Observer>);
    let journal = ledger.map(|ledger| ledger.journal() as Arc<dyn Observer>);
    match (narrator, journal) {
        (None, None) => Arc::new(Unobserved),
        (Some(one), None) | (None, Some(one)) => one,
        // The journal first: it wants everything, so the narrator is asked once, and counts what it has no room for once.
        (Some(narrator), Some(journal)) => Arc::new(All(vec![journal, narrator])),
    }
}

/// Lines a second at most; a line costs several microseconds, and nobody reads faster.
const LINES_PER_SECOND: u64 = 100;

/// Writes decisions to the log. Beyond its pace it counts instead.
pub struct Narrator {
    /// Whether values of data may be in the lines.
    values: Values,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    /// The second that `told` belongs to.
    second: AtomicU64,
    told: AtomicU64,
    untold: AtomicU64,
}

impl Narrator {
    pub fn new(values: Values) -> Self {
        Self {
            values,
            elapsed: Box::new(task::stopwatch()),
            second: AtomicU64::new(0),
            told: AtomicU64::new(0),
            untold: AtomicU64::new(0),
        }
    }

    /// How many times it had no room for decisions since this was last asked.
    pub fn take_untold(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    /// Takes room for one line. Two threads at the turn of a second may let a line more through.
    fn has_room(&self) -> bool {
        let now = (self.elapsed)().as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.told.store(0, Ordering::Relaxed);
        }
        let room = self.told.load(Ordering::Relaxed) < LINES_PER_SECOND;
        if !room {
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
        room
    }
}

impl Observer for Narrator {
    fn enabled(&self) -> bool {
        tracing::enabled!(tracing::Level::INFO) && self.has_room()
    }

    fn decided(&self, event: &Event, decision: &Decision<'_>) {
        self.told.fetch_add(1, Ordering::Relaxed);
        let (id, ty) = (event.id(), event.ty());
        match decision {
            Decision::Received { .. } => {}
            Decision::Filtered { trigger, input, filter, .. } => {
                tracing::info!(id, ty, trigger, input, why = filter.explain(event, self.values), "filtered out");
            }
            Decision::Untransformed { trigger, input, cause } => {
                tracing::info!(id, ty, trigger, input, why = cause, "filtered out: its data could not be changed");
            }
            Decision::Joined { subscriber, step } => tracing::info!(id, ty, subscriber, "{step}"),
            Decision::Unmatched { topic } => tracing::info!(id, ty, %topic, "no trigger wants it"),
            Decision::Delivered { subscriber, address, code, attempt, took } => {
                let ms = took.as_millis();
                tracing::info!(id, ty, subscriber, to = address, code, attempt, ms, "delivered");
            }
            Decision::Retrying { subscriber, address, fault, attempt, pause } => {
                tracing::warn!(id, subscriber, to = address, fault = fault.chain(), attempt, ?pause, "trying again");
            }
            Decision::Parked { subscriber, fault, attempts, due } => {
                tracing::warn!(id, subscriber, fault = fault.chain(), attempts, ?due, "parked");
            }
            Decision::Replayed { subscriber, attempts } => {
                tracing::info!(id, ty, subscriber, attempts, "comes back");
            }
            Decision::Dead { subscriber, reason, fault, attempts, to } => {
                let reason = reason.as_str();
                tracing::warn!(id, subscriber, reason, fault = fault.chain(), attempts, to, "dead letter");
            }
            Decision::Dropped { subscriber, fault } => {
                tracing::warn!(id, subscriber, fault = fault.chain(), "dropped, as atMostOnce asks");
            }
            Decision::Returned { fault } => {
                tracing::warn!(id, fault = fault.chain(), "kept on the bus, to be handed out again");
            }
        }
    }
}
