//! What a condition over several events makes of what arrives, one after the other.
//!
//! A pure fold: [`Rules::observe`] takes the state and one arrival, in the order of the times at which the bus took
//! the events in, and changes the state; [`Rules::due`] hands out the matches whose hold is over. Time is
//! always given, and it is always the time of an event on the bus or of a deadline, so whoever replays the same
//! arrivals is told the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

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
    pub held: BTreeMap<usize, Arrival<T>>,
    /// When each negated input last accepted an event.
    pub marks: BTreeMap<usize, Timestamp>,
    /// Matches that wait for their hold, by number; later ones have later deadlines.
    pub holds: BTreeMap<u64, Match<T>>,
    /// The number of the next match that waits.
    pub next_hold: u64,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), marks: BTreeMap::new(), holds: BTreeMap::new(), next_hold: 0 }
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

    /// Notes an event that all of `inputs` accepted. Matches whose deadline lies before `at` must have been
    /// taken out by [`Rules::due`].
    pub fn observe<T: Clone>(&self, state: &mut State<T>, inputs: &[usize], at: Timestamp, item: &T) -> Step<T> {
        self.forget(state, at);
        let positive: Vec<usize> = inputs.iter().copied().filter(|input| self.condition.is_positive(*input)).collect();
        let negated: Vec<usize> = inputs.iter().copied().filter(|input| self.is_negated(*input)).collect();
        if !positive.is_empty() && !self.hold.is_zero() && state.holds.len() >= MAX_HOLDS {
            return Step::Full;
        }
        for input in negated {
            let mark = state.marks.entry(input).or_insert(at);
            *mark = (*mark).max(at);
            self.cancel(state, input, at);
        }
        let Some(last) = positive.last().copied() else { return Step::Waiting };
        let mut events = state.held.clone();
        events.extend(positive.iter().map(|input| (*input, Arrival { at, item: item.clone() })));
        let heard: BTreeSet<usize> = state
            .marks
            .iter()
            .filter(|(_, mark)| age(**mark, at) < self.negation_window)
            .map(|(input, _)| *input)
            .collect();
        let held = |input: usize| events.contains_key(&input);
        if self.condition.holds(held, |input| heard.contains(&input)) {
            state.held.clear();
            let deadline = plus(at, self.hold);
            let found = Match { events, last, deadline, heard };
            if self.hold.is_zero() {
                return Step::Fired(found);
            }
            state.holds.insert(state.next_hold, found);
            state.next_hold += 1;
            return Step::Holding;
        }
        if self.condition.holds(held, |_| false) {
            return Step::Blocked;
        }
        state.held = events;
        Step::Waiting
    }

    /// Takes out the matches whose hold was over before `time`.
    pub fn due<T>(&self, state: &mut State<T>, time: Timestamp) -> Vec<Match<T>> {
        let mut due = Vec::new();
        while let Some(first) = state.holds.first_entry()
            && first.get().deadline < time
        {
            due.push(first.remove());
        }
        due
    }

    /// Drops held events that are too old at `now`, or from before the last reset.
    fn forget<T>(&self, state: &mut State<T>, now: Timestamp) {
        state.held.retain(|_, held| {
            let fresh = self.window.is_none_or(|window| age(held.at, now) <= window);
            fresh && !self.resets.iter().any(|reset| reset.between(held.at, now))
        });
    }

    /// Drops the matches that do not hold any more now that `input` was heard of.
    fn cancel<T>(&self, state: &mut State<T>, input: usize, at: Timestamp) {
        state.holds.retain(|_, found| {
            if found.deadline < at {
                return true;
            }
            found.heard.insert(input);
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
}

/// How long before `now` it was; zero when it was not.
fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

fn plus(at: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
