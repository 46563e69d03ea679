//! What is read from one topic, and who wants it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::Topic;
use crate::router::decision::{Decision, Observer};
use crate::router::delivery::Destination;
use crate::router::filter::Filter;
use crate::router::matching::Matcher;
use crate::telemetry;

/// Indexes of destinations, or of inputs; few events have more than two.
pub(super) type Hits = SmallVec<[u32; 4]>;

/// An input that reads the lane's topic.
pub(super) struct Input {
    /// The Trigger, as `namespace/name`.
    pub trigger: Arc<str>,
    pub name: String,
    /// Indexes into the lane's destinations.
    pub fires: Vec<u32>,
    pub metrics: telemetry::Input,
}

/// One topic, its inputs and their destinations.
pub(super) struct Lane {
    pub topic: Topic,
    inputs: Vec<Input>,
    /// Tells the inputs apart by their indexes.
    matcher: Matcher<u32>,
    destinations: Vec<Arc<Destination>>,
    pub metrics: telemetry::Topic,
}

impl Lane {
    pub fn new(
        topic: Topic,
        inputs: Vec<(Input, Filter)>,
        destinations: Vec<Arc<Destination>>,
        metrics: telemetry::Topic,
    ) -> Self {
        let (inputs, filters): (Vec<_>, Vec<_>) = inputs.into_iter().unzip();
        let matcher = Matcher::build((0..).zip(filters).collect());
        Self { topic, inputs, matcher, destinations, metrics }
    }

    pub fn destination(&self, hit: u32) -> &Destination {
        &self.destinations[hit as usize]
    }

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
        let (mut accepting, mut undecided) = (Hits::new(), Hits::new());
        let accepts = |input: &u32| accepting.push(*input);
        self.matcher.matches(event, accepts, |input, cause| {
            self.inputs[*input as usize].metrics.error(cause.as_str());
            undecided.push(*input);
        });
        let mut hits = Hits::new();
        for input in &accepting {
            let input = &self.inputs[*input as usize];
            input.metrics.matched.inc();
            hits.extend(input.fires.iter().copied());
        }
        if hits.len() > 1 {
            hits.sort_unstable();
            hits.dedup();
        }
        for hit in &hits {
            self.destination(*hit).metrics.matched.inc();
        }
        if accepting.len() < self.inputs.len() && observer.enabled() {
            self.tell_filtered(event, &accepting, &undecided, observer);
        }
        hits
    }

    /// Tells which inputs did not accept the event. `accepting` and `undecided` are ascending.
    fn tell_filtered(&self, event: &Event, accepting: &[u32], undecided: &[u32], observer: &dyn Observer) {
        for ((index, input), filter) in (0_u32..).zip(&self.inputs).zip(self.matcher.filters()) {
            if accepting.binary_search(&index).is_err() {
                let (trigger, undecided) = (&*input.trigger, undecided.binary_search(&index).is_ok());
                observer.decided(event, &Decision::Filtered { trigger, input: &input.name, filter, undecided });
            }
        }
    }
}
