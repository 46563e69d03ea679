//! Which of many inputs on one topic take an event, at a cost that does not follow their number.
//!
//! A filter is indexed by something that must be true for it to say yes: an attribute's value, a
//! literal in the value of a path, a bound on a number ([`access`]). An event then brings up only the
//! filters whose key it has, and each of those is evaluated as a whole: the index only prunes,
//! the filter decides. Filters without such a key are evaluated for every event. Each distinct
//! path is looked up once an event, however many filters name it.

mod access;
mod index;

use smallvec::SmallVec;

use self::index::Index;
use super::filter::{Cause, Filter, Paths, Subject, Verdict};
use crate::event::Event;

/// Up to this many inputs are simply all evaluated: cheaper than looking them up, and every error is
/// reported.
const FEW: usize = 8;

/// Candidates of one event that need no allocation.
const INLINE_CANDIDATES: usize = 32;

/// The place of an input in its matcher.
type Place = u32;

type Candidates = SmallVec<[Place; INLINE_CANDIDATES]>;

/// The filters of all inputs on one topic; `K` tells the inputs apart.
#[derive(Clone, Debug)]
pub struct Matcher<K> {
    inputs: Vec<(K, Filter)>,
    paths: Paths,
    index: Option<Index>,
}

impl<K> Matcher<K> {
    pub fn build(mut inputs: Vec<(K, Filter)>) -> Self {
        let mut paths = Paths::default();
        for (_, filter) in &mut inputs {
            filter.share_paths(&mut paths);
        }
        let index = (inputs.len() > FEW).then(|| Index::build(inputs.iter().map(|(_, filter)| filter)));
        Self { inputs, paths, index }
    }

    pub const fn len(&self) -> usize {
        self.inputs.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// All inputs with their filters, in the order in which they were given.
    pub fn inputs(&self) -> impl Iterator<Item = &(K, Filter)> {
        self.inputs.iter()
    }

    /// Calls `yes` for exactly the inputs whose filter says yes, in their order, and `error` for
    /// those that were evaluated and could not tell. A filter that the index rules out is not
    /// evaluated, so its error, if it would be one, is not reported.
    pub fn matches<'m>(&'m self, event: &Event, mut yes: impl FnMut(&'m K), mut error: impl FnMut(&'m K, Cause)) {
        let subject = Subject::with_paths(event, &self.paths);
        let mut judge = |(key, filter): &'m (K, Filter)| match filter.judge(&subject) {
            Verdict::Yes => yes(key),
            Verdict::No => {}
            Verdict::Error(cause) => error(key, cause),
        };
        let Some(index) = &self.index else {
            self.inputs.iter().for_each(judge);
            return;
        };
        let mut candidates = Candidates::new();
        index.candidates(&subject, &self.paths, &mut candidates);
        candidates.sort_unstable();
        candidates.dedup();
        for place in candidates {
            judge(&self.inputs[place as usize]);
        }
    }
}

#[cfg(test)]
mod tests;
