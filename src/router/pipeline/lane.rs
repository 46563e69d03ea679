//! What is read from one topic, and who wants it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::Topic;
use crate::router::decision::{Decision, Observer};
use crate::router::delivery::Destination;
use crate::telemetry;

/// Destinations of one event, as indexes; few events have more than two.
pub(super) type Hits = SmallVec<[u32; 4]>;

/// Whether an input accepts an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Yes,
    No,
    /// Its filter could not tell: no, and counted.
    Undecided(&'static str),
}

/// The filter of an input.
pub(super) type Judge = Box<dyn Fn(&Event) -> Judgement + Send + Sync>;

/// An input that reads the lane's topic.
pub(super) struct Input {
    /// The Trigger, as `namespace/name`.
    pub trigger: Arc<str>,
    pub name: String,
    pub judge: Judge,
    /// Indexes into the lane's destinations.
    pub fires: Vec<u32>,
    pub metrics: telemetry::Input,
}

/// One topic, its inputs and their destinations.
pub(super) struct Lane {
    pub topic: Topic,
    pub inputs: Vec<Input>,
    pub destinations: Vec<Arc<Destination>>,
    pub metrics: telemetry::Topic,
}

impl Lane {
    /// The destinations that the event fires, each once, however many inputs lead to it.
    ///
    /// # Errors
    /// `Internal` when a filter panicked: then nobody knows.
    pub fn hits(&self, event: &Event, observer: &dyn Observer) -> Result<Hits, Fault> {
        // A filter keeps no state that a panic could leave half changed.
        std::panic::catch_unwind(AssertUnwindSafe(|| self.judge(event, observer)))
            .map_err(|_| Fault::new(FaultKind::Internal, "filter an event", "a filter panicked"))
    }

    fn judge(&self, event: &Event, observer: &dyn Observer) -> Hits {
        let mut hits = Hits::new();
        let told = observer.enabled();
        for input in &self.inputs {
            let judgement = (input.judge)(event);
            if let Judgement::Undecided(cause) = judgement {
                input.metrics.error(cause);
            }
            if judgement == Judgement::Yes {
                input.metrics.matched.inc();
                hits.extend(input.fires.iter().copied());
            } else if told {
                let undecided = judgement != Judgement::No;
                let (trigger, input) = (&*input.trigger, input.name.as_str());
                observer.decided(event, &Decision::Filtered { trigger, input, undecided });
            }
        }
        if hits.len() > 1 {
            hits.sort_unstable();
            hits.dedup();
        }
        for hit in &hits {
            self.destinations[*hit as usize].metrics.matched.inc();
        }
        hits
    }
}
