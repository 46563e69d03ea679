//! Several matches in one delivery.
//!
//! Pure, as the fold is: [`Batch::gather`] takes a match in, [`Batch::due`] says when what was gathered has waited
//! long enough. Matches are numbered in their order, and a batch is a range of numbers.

use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;

use super::fold::plus;

/// The most matches in one batch: they are taken out of the store in one write.
pub const MAX_BATCH: u32 = 500;

/// When a batch is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// With so many matches.
    pub count: u32,
    /// So long after its first match, when it did not get as many before.
    pub within: Option<Duration>,
}

/// The matches that wait for their batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// The number of the first.
    pub first: u64,
    /// The number of the next match.
    pub next: u64,
    /// When the first of them came.
    pub since: Timestamp,
    /// The bytes that their batch will have.
    pub bytes: u64,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { first: 0, next: 0, since: Timestamp::UNIX_EPOCH, bytes: 0 }
    }
}

impl Gathered {
    pub const fn is_empty(&self) -> bool {
        self.first == self.next
    }

    /// Takes out what there is; nothing when there is nothing.
    pub fn close(&mut self) -> Option<Range<u64>> {
        let range = self.first..self.next;
        self.first = self.next;
        self.bytes = 0;
        (!range.is_empty()).then_some(range)
    }

    fn len(&self) -> u64 {
        self.next - self.first
    }
}

impl Batch {
    /// Takes in a match of so many bytes that came `at` this time: its number, and the batches that are complete now.
    /// One that would have more than `most` bytes with it is complete without it.
    pub fn gather(&self, state: &mut Gathered, at: Timestamp, bytes: u64, most: u64) -> (u64, Vec<Range<u64>>) {
        let mut complete = Vec::new();
        if !state.is_empty() && state.bytes + bytes > most {
            complete.extend(state.close());
        }
        if state.is_empty() {
            state.since = at;
        }
        let number = state.next;
        state.next += 1;
        state.bytes += bytes;
        if state.len() >= u64::from(self.count) {
            complete.extend(state.close());
        }
        (number, complete)
    }

    /// Until when what is gathered waits for more.
    pub fn deadline(&self, state: &Gathered) -> Option<Timestamp> {
        self.within.filter(|_| !state.is_empty()).map(|within| plus(state.since, within))
    }

    /// What has waited long enough before `time`.
    pub fn due(&self, state: &mut Gathered, time: Timestamp) -> Option<Range<u64>> {
        self.deadline(state).filter(|deadline| *deadline < time)?;
        state.close()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn batch(count: u32, within: u64) -> Batch {
        Batch { count, within: (within > 0).then(|| Duration::from_secs(within)) }
    }

    /// At most one batch is complete here.
    fn one((number, mut complete): (u64, Vec<Range<u64>>)) -> (u64, Option<Range<u64>>) {
        let first = complete.pop();
        assert!(complete.is_empty());
        (number, first)
    }

    #[test]
    fn a_batch_is_complete_with_its_count_or_after_its_time() {
        let mut state = Gathered::default();
        let batch = batch(3, 10);
        let gather = |state: &mut Gathered, second, bytes, most| one(batch.gather(state, at(second), bytes, most));
        assert_eq!(batch.due(&mut state, at(100)), None, "there is nothing");
        assert_eq!(gather(&mut state, 100, 1, 99), (0, None));
        assert_eq!(gather(&mut state, 104, 1, 99), (1, None));
        assert_eq!((batch.deadline(&state), batch.due(&mut state, at(110))), (Some(at(110)), None));
        assert_eq!(batch.due(&mut state, at(111)), Some(0..2));
        for number in 2..4 {
            assert_eq!(gather(&mut state, 112, 1, 99), (number, None));
        }
        assert_eq!(gather(&mut state, 112, 1, 99), (4, Some(2..5)));
        assert_eq!(batch.deadline(&state), None);
    }

    #[test]
    fn one_that_would_be_too_large_is_complete_without_the_next() {
        let mut state = Gathered::default();
        let batch = batch(3, 0);
        let gather = |state: &mut Gathered, second, bytes, most| one(batch.gather(state, at(second), bytes, most));
        assert_eq!(gather(&mut state, 1, 60, 100), (0, None));
        assert_eq!(gather(&mut state, 1, 50, 100), (1, Some(0..1)));
        // Whoever is too large alone is alone.
        assert_eq!(gather(&mut state, 1, 500, 100), (2, Some(1..2)));
        assert_eq!(gather(&mut state, 1, 1, 100), (3, Some(2..3)));
        assert_eq!((state.bytes, state.first, state.next), (1, 3, 4));
    }

    proptest! {
        #[test]
        fn every_match_is_in_one_batch_in_order_and_no_batch_is_too_large_or_late(
            count in 1_u32..6,
            within in 0_u64..8,
            matches in prop::collection::vec((0_i64..5, 1_u64..40), 0..80),
        ) {
            let (batch, mut state, mut now) = (batch(count, within), Gathered::default(), 0);
            let (mut ranges, mut came) = (Vec::new(), Vec::new());
            for (pause, bytes) in matches {
                now += pause;
                if let Some(range) = batch.due(&mut state, at(now)) {
                    ranges.push((range, now));
                }
                came.push((now, bytes));
                let (number, complete) = batch.gather(&mut state, at(now), bytes, 100);
                prop_assert_eq!(number + 1, came.len() as u64);
                ranges.extend(complete.into_iter().map(|range| (range, now)));
            }
            ranges.extend(state.close().map(|range| (range, now)));
            let mut next = 0;
            for (range, closed) in ranges {
                prop_assert_eq!(range.start, next);
                prop_assert!(range.end > range.start && range.end - range.start <= u64::from(count));
                next = range.end;
                let members = &came[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
                let bytes: u64 = members.iter().map(|(_, bytes)| bytes).sum();
                prop_assert!(bytes <= 100 || members.len() == 1);
                let span = i64::try_from(within).unwrap();
                prop_assert!(within == 0 || members.iter().all(|(at, _)| at - members[0].0 <= span), "{closed}");
            }
            prop_assert_eq!(next, came.len() as u64);
        }
    }
}
