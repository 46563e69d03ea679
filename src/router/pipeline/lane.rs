//! What is read from one topic, and who wants it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Received, Topic};
use crate::router::decision::{Decision, Observer};
use crate::router::delivery::Destination;
use crate::router::filter::Filter;
use crate::router::join::{Inbox, Observed, Progress};
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
    /// Subscribers that join it with others: indexes into the lane's joins, and the input's place in its Trigger.
    pub joins: Vec<(u32, usize)>,
    pub metrics: telemetry::Input,
}

/// One topic, its inputs and their destinations.
pub(super) struct Lane {
    pub topic: Topic,
    inputs: Vec<Input>,
    /// Tells the inputs apart by their indexes.
    matcher: Matcher<u32>,
    destinations: Vec<Arc<Destination>>,
    /// The subscribers that join events of this topic, and which of their topics it is.
    joins: Vec<(Arc<Inbox>, usize)>,
    /// How far it was read, when somebody joins its events.
    pub progress: Option<Arc<Progress>>,
    pub metrics: telemetry::Topic,
}

/// Who wants an event.
pub(super) struct Wanted {
    pub hits: Hits,
    /// Indexes of joins, and the inputs that accepted it.
    joins: Vec<(u32, SmallVec<[usize; 2]>)>,
}

impl Wanted {
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty() && self.joins.is_empty()
    }
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
        Self { topic, inputs, matcher, destinations, joins: Vec::new(), progress: None, metrics }
    }

    /// The lane with subscribers that join its events, each with its number for this topic.
    pub fn joining(self, joins: Vec<(Arc<Inbox>, usize)>, progress: Option<Arc<Progress>>) -> Self {
        Self { joins, progress, ..self }
    }

    /// Puts the event before the subscribers that join it with others; they tell when it is safe with them.
    pub fn observe(&self, wanted: &mut Wanted, received: &Received, event: &Event) -> Vec<oneshot::Receiver<()>> {
        let mut safe = Vec::with_capacity(wanted.joins.len());
        for (join, inputs) in wanted.joins.drain(..) {
            let (done, is_safe) = oneshot::channel();
            let (inbox, topic) = &self.joins[join as usize];
            let (at, position, event) = (received.appended, received.position, event.clone());
            inbox.put(Observed { at, topic: *topic, position, inputs, event, done });
            safe.push(is_safe);
        }
        safe
    }

    pub fn destination(&self, hit: u32) -> &Destination {
        &self.destinations[hit as usize]
    }

    /// The destinations that the event fires, each once, however many inputs lead to it, and who joins it.
    ///
    /// # Errors
    /// `Internal` when a filter panicked: then nobody knows.
    pub fn hits(&self, event: &Event, observer: &dyn Observer) -> Result<Wanted, Fault> {
        // A filter keeps no state that a panic could leave half changed.
        std::panic::catch_unwind(AssertUnwindSafe(|| self.judge(event, observer)))
            .map_err(|_| Fault::new(FaultKind::Internal, "filter an event", "a filter panicked"))
    }

    fn judge(&self, event: &Event, observer: &dyn Observer) -> Wanted {
        let (mut accepting, mut undecided) = (Hits::new(), Hits::new());
        let accepts = |input: &u32| accepting.push(*input);
        self.matcher.matches(event, accepts, |input, cause| {
            self.inputs[*input as usize].metrics.error(cause.as_str());
            undecided.push(*input);
        });
        let mut hits = Hits::new();
        let mut joins: Vec<(u32, SmallVec<[usize; 2]>)> = Vec::new();
        for input in &accepting {
            let input = &self.inputs[*input as usize];
            input.metrics.matched.inc();
            hits.extend(input.fires.iter().copied());
            for (join, place) in &input.joins {
                match joins.iter_mut().find(|(known, _)| known == join) {
                    Some((_, places)) => places.push(*place),
                    None => joins.push((*join, SmallVec::from_slice(&[*place]))),
                }
            }
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
        Wanted { hits, joins }
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
