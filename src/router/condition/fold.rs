//! What a condition over several events makes of what arrives, one after the other.
//!
//! A pure fold: [`Rules::observe`] takes the state and one arrival, in the order of the times at which the bus took
//! the events in, and changes the state; [`Rules::due`] hands out the matches whose hold is over. Time is
//! always given, and it is always the time of an event on the bus or of a deadline, so whoever replays the same
//! arrivals is told the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::keyed::{Key, Keyed};
use super::{Condition, Form, Reset};

/// How long an event counts as "not absent" when nothing else is said: `OpenFunction`'s figure.
pub const NEGATION_WINDOW: Duration = Duration::from_secs(60);

/// As many matches of one subscriber may wait for their hold. Each holds its events in memory.
pub const MAX_HOLDS: usize = 10_000;

/// A condition with everything that says how it is used.
#[derive(Clone, Debug)]
pub struct Rules {
    pub condition: Condition,
    /// Held events that are older than this when another arrives are forgotten.
    pub window: Option<Duration>,
    pub negation_window: Duration,
    /// How long a match waits for what would cancel it; zero when it does not wait.
    pub hold: Duration,
    /// When held events are forgotten.
    pub resets: Vec<Reset>,
    /// For so many keys events are held at most, and as many have marks: of one more, the one that was touched
    /// longest ago is forgotten.
    pub max_keys: usize,
}

/// An event, in whatever form the caller keeps it, and when the bus took it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival<T> {
    pub at: Timestamp,
    pub item: T,
}

/// Events that fulfilled the condition together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<T> {
    pub key: Key,
    /// By input. At least one.
    pub events: BTreeMap<usize, Arrival<T>>,
    /// The input whose event came last.
    pub last: usize,
    /// Until when a negated input may cancel it.
    pub deadline: Timestamp,
    /// The negated inputs that were heard of within the window, or since.
    pub heard: BTreeSet<usize>,
}

/// What is remembered between arrivals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State<T> {
    /// The latest event of each input.
    pub held: Keyed<Arrival<T>>,
    /// When each negated input last accepted an event.
    pub marks: Keyed<Timestamp>,
    /// Matches that wait for their hold, by number; later ones have later deadlines.
    pub holds: BTreeMap<u64, Match<T>>,
    /// The number of the next match that waits.
    pub next_hold: u64,
    /// What is not as it was when this was last taken.
    pub changed: Changed,
}

/// Which parts of a state are others than before, or are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub held: BTreeSet<(Key, usize)>,
    pub marks: BTreeSet<(Key, usize)>,
    pub holds: BTreeSet<u64>,
}

impl Changed {
    /// How many parts.
    pub fn len(&self) -> usize {
        self.held.len() + self.marks.len() + self.holds.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        let (held, marks) = (Keyed::default(), Keyed::default());
        Self { held, marks, holds: BTreeMap::new(), next_hold: 0, changed: Changed::default() }
    }
}

/// What one arrival led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// It is held until others arrive, or only noted as heard of.
    Waiting,
    /// The condition is fulfilled.
    Fired(Match<T>),
    /// The condition is fulfilled, and the match waits for its hold.
    Holding,
    /// Only a negated name stands in the way: the event is not kept.
    Blocked,
    /// Too many matches wait for their hold: nothing was changed, and the event is not kept.
    Full,
}

impl Rules {
    /// Whether an event of this input matters.
    pub fn wants(&self, input: usize) -> bool {
        self.condition.is_positive(input) || self.is_negated(input)
    }

    fn is_negated(&self, input: usize) -> bool {
        matches!(self.condition.form(), Form::Stateful { negated, .. } if negated.contains(&input))
    }

    /// Notes what the inputs accepted of one event, each as it saw it. Matches whose deadline lies before `at` must
    /// have been taken out by [`Rules::due`]. Answers what came of it, and how many keys had to be forgotten.
    pub fn observe<T: Clone>(
        &self,
        state: &mut State<T>,
        key: &Key,
        at: Timestamp,
        accepted: &[(usize, T)],
    ) -> (Step<T>, usize) {
        self.forget(state, key, at);
        let completing = |input: usize| self.condition.is_positive(input);
        if !self.hold.is_zero()
            && state.holds.len() >= MAX_HOLDS
            && accepted.iter().any(|(input, _)| completing(*input))
        {
            return (Step::Full, 0);
        }
        let mut evicted = 0;
        for (input, _) in accepted.iter().filter(|(input, _)| self.is_negated(*input)) {
            let mark = state.marks.get(key, *input).map_or(at, |mark| at.max(*mark));
            state.marks.insert(key, *input, mark, mark);
            state.changed.marks.insert((key.clone(), *input));
            self.cancel(state, key, *input, at);
        }
        while state.marks.len() > self.max_keys {
            evicted += 1;
            state.forget_marks();
        }
        let Some(last) = accepted.iter().map(|(input, _)| *input).rfind(|input| completing(*input)) else {
            return (Step::Waiting, evicted);
        };
        let mut events = state.held.of(key).cloned().unwrap_or_default();
        let positive = accepted.iter().filter(|(input, _)| completing(*input));
        events.extend(positive.clone().map(|(input, item)| (*input, Arrival { at, item: item.clone() })));
        let fresh = |(input, mark): (&usize, &Timestamp)| (age(*mark, at) < self.negation_window).then_some(*input);
        let heard: BTreeSet<usize> = state.marks.of(key).into_iter().flatten().filter_map(fresh).collect();
        let held = |input: usize| events.contains_key(&input);
        if self.condition.holds(held, |input| heard.contains(&input)) {
            state.forget_held(key);
            let found = Match { key: key.clone(), events, last, deadline: plus(at, self.hold), heard };
            if self.hold.is_zero() {
                return (Step::Fired(found), evicted);
            }
            state.changed.holds.insert(state.next_hold);
            state.holds.insert(state.next_hold, found);
            state.next_hold += 1;
            return (Step::Holding, evicted);
        }
        if self.condition.holds(held, |_| false) {
            return (Step::Blocked, evicted);
        }
        for (input, item) in positive {
            state.held.insert(key, *input, Arrival { at, item: item.clone() }, at);
            state.changed.held.insert((key.clone(), *input));
        }
        while state.held.len() > self.max_keys
            && let Some((_, oldest)) = state.held.oldest()
        {
            evicted += 1;
            state.forget_held(&oldest);
        }
        (Step::Waiting, evicted)
    }

    /// Takes out the first match whose hold was over before `time`.
    pub fn due<T>(&self, state: &mut State<T>, time: Timestamp) -> Option<Match<T>> {
        let first = state.holds.first_entry().filter(|first| first.get().deadline < time)?;
        state.changed.holds.insert(*first.key());
        Some(first.remove())
    }

    /// Drops events of the key that are too old at `now` or from before the last reset, and other keys of which
    /// nothing counts any more.
    fn forget<T>(&self, state: &mut State<T>, key: &Key, now: Timestamp) {
        let is_old = |at: Timestamp| {
            self.window.is_some_and(|window| age(at, now) > window)
                || self.resets.iter().any(|reset| reset.between(at, now))
        };
        let held = state.held.of(key).into_iter().flatten();
        let old: Vec<usize> = held.filter(|(_, held)| is_old(held.at)).map(|(input, _)| *input).collect();
        for input in old {
            state.held.remove(key, input);
            state.changed.held.insert((key.clone(), input));
        }
        while let Some((touched, oldest)) = state.held.oldest()
            && is_old(touched)
        {
            state.forget_held(&oldest);
        }
        while let Some((touched, _)) = state.marks.oldest()
            && age(touched, now) >= self.negation_window
        {
            state.forget_marks();
        }
    }

    /// Drops the matches of the key that do not hold any more now that `input` was heard of.
    fn cancel<T>(&self, state: &mut State<T>, key: &Key, input: usize, at: Timestamp) {
        let State { holds, changed, .. } = state;
        holds.retain(|number, found| {
            if found.key != *key || found.deadline < at {
                return true;
            }
            if found.heard.insert(input) {
                changed.holds.insert(*number);
            }
            let Match { events, heard, .. } = found;
            self.condition.holds(|input| events.contains_key(&input), |input| heard.contains(&input))
        });
    }
}

impl<T> State<T> {
    /// When the first match is due.
    pub fn first_deadline(&self) -> Option<Timestamp> {
        self.holds.first_key_value().map(|(_, found)| found.deadline)
    }

    /// Forgets the events that are held of a key.
    fn forget_held(&mut self, key: &Key) {
        let gone = self.held.remove_all(key).into_keys();
        self.changed.held.extend(gone.map(|input| (key.clone(), input)));
    }

    /// Forgets the marks of the key that was touched longest ago.
    fn forget_marks(&mut self) {
        let Some((_, key)) = self.marks.oldest() else { return };
        let gone = self.marks.remove_all(&key).into_keys();
        self.changed.marks.extend(gone.map(|input| (key.clone(), input)));
    }
}

/// How long before `now` it was; zero when it was not.
fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

pub(super) fn plus(at: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
