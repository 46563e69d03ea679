//! What is read from one topic, and who wants it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::Topic;
use crate::router::decision::{Decision, Observer};
use crate::router::delivery::Destination;
use crate::router::filter::{Filter, Transform, Verdict};
use crate::router::matching::Matcher;
use crate::telemetry;

/// Few events have more than two of anything.
type Few<T> = SmallVec<[T; 4]>;

/// What an event fires.
#[derive(Default)]
pub(super) struct Hits {
    pub list: Few<Hit>,
    /// The event as transforms changed it.
    changed: Vec<Event>,
}

/// A destination of the lane, and what it gets.
#[derive(Clone, Copy)]
pub(super) struct Hit {
    pub destination: u32,
    /// Which of the changed events; the event itself when none.
    changed: Option<u32>,
    /// The input that accepted it.
    input: u32,
}

impl Hits {
    /// What goes to the destination of `hit`.
    pub fn event<'e>(&'e self, hit: Hit, event: &'e Event) -> &'e Event {
        self.seen(hit.changed, event)
    }

    /// The event as one of the transforms changed it, or as it is.
    pub fn seen<'e>(&'e self, changed: Option<u32>, event: &'e Event) -> &'e Event {
        changed.and_then(|changed| self.changed.get(changed as usize)).unwrap_or(event)
    }
}

/// The places of inputs that accepted an event, each with the one of the changed events that it saw.
type Accepting = SmallVec<[(usize, Option<u32>); 2]>;

/// Who wants an event.
#[derive(Default)]
pub(super) struct Wanted {
    pub hits: Hits,
    /// Who joins it with others, and by which inputs.
    pub joins: Vec<(u32, Accepting)>,
}

impl Wanted {
    pub fn is_empty(&self) -> bool {
        self.hits.list.is_empty() && self.joins.is_empty()
    }

    fn join(&mut self, input: &Input, changed: Option<u32>) {
        for (join, place) in &input.joins {
            match self.joins.iter_mut().find(|(known, _)| known == join) {
                Some((_, places)) => places.push((*place, changed)),
                None => self.joins.push((*join, SmallVec::from_slice(&[(*place, changed)]))),
            }
        }
    }
}

/// An input that reads the lane's topic.
pub(super) struct Input {
    /// The Trigger, as `namespace/name`.
    pub trigger: Arc<str>,
    pub name: String,
    /// Indexes into the lane's destinations.
    pub fires: Vec<u32>,
    /// Subscribers that join it with others: indexes among those that join events of the topic, and the input's place in its Trigger.
    pub joins: Vec<(u32, usize)>,
    pub metrics: telemetry::Input,
}

impl Input {
    /// The same input for those who join its events, when the group reads the topic as well: it counts nothing twice,
    /// and fires nobody.
    pub fn of_another_reader(&self) -> Self {
        Self {
            trigger: self.trigger.clone(),
            name: self.name.clone(),
            fires: Vec::new(),
            joins: self.joins.clone(),
            metrics: self.metrics.of_another_reader(),
        }
    }
}

/// One topic, its inputs and their destinations.
pub(super) struct Lane {
    pub topic: Topic,
    inputs: Vec<Input>,
    /// Tells the inputs without a transform apart by their indexes.
    matcher: Matcher<u32>,
    /// The inputs with one: each sees an event of its own, so there is nothing to look up together.
    changing: Vec<(u32, Transform, Filter)>,
    destinations: Vec<Arc<Destination>>,
    pub metrics: telemetry::Topic,
}

impl Lane {
    pub fn new(
        topic: Topic,
        inputs: Vec<(Input, Option<Transform>, Filter)>,
        destinations: Vec<Arc<Destination>>,
        metrics: telemetry::Topic,
    ) -> Self {
        let (mut all, mut plain, mut changing) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (input, transform, filter)) in (0..).zip(inputs) {
            all.push(input);
            match transform {
                Some(transform) => changing.push((index, transform, filter)),
                None => plain.push((index, filter)),
            }
        }
        let matcher = Matcher::build(plain);
        Self { topic, inputs: all, matcher, changing, destinations, metrics }
    }

    pub fn destination(&self, hit: Hit) -> &Destination {
        &self.destinations[hit.destination as usize]
    }

    /// The name of the input that accepted it.
    pub fn input(&self, hit: Hit) -> &str {
        &self.inputs[hit.input as usize].name
    }

    /// The destinations that the event fires, each once, however many inputs lead to it: it gets
    /// what the first of them makes of the event. And who joins it.
    ///
    /// # Errors
    /// `Internal` when a filter panicked: then nobody knows.
    pub fn hits(&self, event: &Event, observer: &dyn Observer) -> Result<Wanted, Fault> {
        // A filter keeps no state that a panic could leave half changed.
        std::panic::catch_unwind(AssertUnwindSafe(|| self.judge(event, observer)))
            .map_err(|_| Fault::new(FaultKind::Internal, "filter an event", "a filter panicked"))
    }

    fn judge(&self, event: &Event, observer: &dyn Observer) -> Wanted {
        let (mut accepting, mut undecided) = (Few::<(u32, Option<u32>)>::new(), Few::<u32>::new());
        let accepts = |input: &u32| accepting.push((*input, None));
        self.matcher.matches(event, accepts, |input, cause| {
            self.inputs[*input as usize].metrics.error(cause.as_str());
            undecided.push(*input);
        });
        if accepting.len() < self.matcher.len() && observer.wants_filtered() {
            self.tell_filtered(event, &accepting, &undecided, observer);
        }
        let mut wanted = Wanted::default();
        let hits = &mut wanted.hits;
        for (index, transform, filter) in &self.changing {
            if let Some(changed) = self.change(*index, transform, filter, event, observer) {
                accepting.push((*index, u32::try_from(hits.changed.len()).ok()));
                hits.changed.push(changed);
            }
        }
        if !self.changing.is_empty() {
            accepting.sort_unstable_by_key(|(input, _)| *input);
        }
        for (index, changed) in &accepting {
            let input = &self.inputs[*index as usize];
            input.metrics.matched.inc();
            let hit = |fired: &u32| Hit { destination: *fired, changed: *changed, input: *index };
            wanted.hits.list.extend(input.fires.iter().map(hit));
            wanted.join(input, *changed);
        }
        let hits = &mut wanted.hits;
        if hits.list.len() > 1 {
            // Stable: of several inputs that lead to a destination the first one stays.
            hits.list.sort_by_key(|hit| hit.destination);
            hits.list.dedup_by_key(|hit| hit.destination);
        }
        for hit in &hits.list {
            self.destination(*hit).metrics.matched.inc();
        }
        wanted
    }

    /// What the transform of an input makes of the event, if its filter takes that.
    fn change(
        &self,
        index: u32,
        transform: &Transform,
        filter: &Filter,
        event: &Event,
        observer: &dyn Observer,
    ) -> Option<Event> {
        let input = &self.inputs[index as usize];
        let (trigger, name) = (&*input.trigger, input.name.as_str());
        let changed = match transform.apply(event) {
            Ok(changed) => changed,
            Err(cause) => {
                let cause = cause.as_str();
                input.metrics.error(cause);
                if observer.enabled() {
                    observer.decided(event, &Decision::Untransformed { trigger, input: name, cause });
                }
                return None;
            }
        };
        let undecided = match filter.evaluate(&changed) {
            Verdict::Yes => return Some(changed),
            Verdict::No => false,
            Verdict::Error(cause) => {
                input.metrics.error(cause.as_str());
                true
            }
        };
        if observer.wants_filtered() {
            observer.decided(&changed, &Decision::Filtered { trigger, input: name, filter, undecided });
        }
        None
    }

    /// Tells which inputs without a transform did not accept the event. `accepting` and `undecided`
    /// are ascending.
    fn tell_filtered(
        &self,
        event: &Event,
        accepting: &[(u32, Option<u32>)],
        undecided: &[u32],
        observer: &dyn Observer,
    ) {
        for (index, filter) in self.matcher.inputs() {
            if accepting.binary_search_by_key(index, |(input, _)| *input).is_err() {
                let (input, undecided) = (&self.inputs[*index as usize], undecided.binary_search(index).is_ok());
                let (trigger, input) = (&*input.trigger, input.name.as_str());
                observer.decided(event, &Decision::Filtered { trigger, input, filter, undecided });
            }
        }
    }
}
