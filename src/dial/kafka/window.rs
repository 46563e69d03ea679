//! Which messages of one partition are settled. Pure.
//!
//! Kafka keeps one offset for a group and a partition: everything before it is done. What was settled
//! behind the first message that is not stands in the text that a commit may carry, so that it does
//! not come again after a restart: a version, then pairs of how many follow that are not settled and
//! how many that are.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What the text begins with.
const VERSION: &str = "p1:";
/// The longest text; brokers take 4096 bytes unless they are set otherwise. What is settled further
/// behind comes again after a restart.
const MAX_TEXT: usize = 3800;

/// The messages of one partition from the first that is not settled on.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// What comes after the last message that came.
    next: i64,
    /// Came, and is not settled.
    open: BTreeSet<i64>,
    /// Ranges (from, to; the end is not in it) that were settled in an earlier life and did not come yet.
    known: Vec<(i64, i64)>,
    /// Whether a commit would say something new.
    dirty: bool,
}

impl Window {
    /// Goes on where a commit of this offset and text left off.
    pub(super) fn resume(offset: i64, text: &str) -> Self {
        Self { next: offset, known: ranges(offset, text).unwrap_or_default(), ..Self::default() }
    }

    /// A message came; true when it is to be worked on.
    pub(super) fn take(&mut self, offset: i64) -> bool {
        if offset < self.low() {
            // The topic was made anew: what was known is about other messages.
            *self = Self { next: offset, ..Self::default() };
        } else if offset < self.next {
            return false;
        }
        self.next = offset + 1;
        self.known.retain(|(_, to)| *to > offset);
        let known = self.known.first().is_some_and(|(from, _)| *from <= offset);
        if known {
            self.dirty = true;
        } else {
            self.open.insert(offset);
        }
        !known
    }

    /// A message is settled; true when it was not before.
    pub(super) fn settle(&mut self, offset: i64) -> bool {
        let settled = self.open.remove(&offset);
        self.dirty |= settled;
        settled
    }

    /// The first message that is not settled.
    pub(super) fn low(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.next)
    }

    /// What is to be committed, if there is something new.
    pub(super) fn commit(&mut self) -> Option<(i64, String)> {
        std::mem::take(&mut self.dirty).then(|| (self.low(), self.text()))
    }

    /// The last commit did not come about.
    pub(super) fn recommit(&mut self) {
        self.dirty = true;
    }

    fn text(&self) -> String {
        let low = self.low();
        let mut text = String::new();
        let mut end = low;
        let mut add = |from: i64, to: i64| {
            if from >= to || from < end {
                return;
            }
            let mut pair = String::new();
            let separator = if text.is_empty() { VERSION } else { "," };
            write!(pair, "{separator}{},{}", from - end, to - from).expect("a String takes everything");
            if text.len() + pair.len() <= MAX_TEXT {
                text.push_str(&pair);
                end = to;
            }
        };
        // Between two that are open, everything that came is settled.
        let mut after = low;
        for open in &self.open {
            add(after, *open);
            after = open + 1;
        }
        add(after, self.next);
        for (from, to) in &self.known {
            add((*from).max(self.next), *to);
        }
        text
    }
}

fn ranges(offset: i64, text: &str) -> Option<Vec<(i64, i64)>> {
    let mut found = Vec::new();
    let mut end = offset;
    let mut numbers = text.strip_prefix(VERSION)?.split(',');
    while let (Some(open), Some(settled)) = (numbers.next(), numbers.next()) {
        let from = end.checked_add(open.parse().ok().filter(|open| *open >= 0)?)?;
        end = from.checked_add(settled.parse().ok().filter(|settled| *settled > 0)?)?;
        found.push((from, end));
    }
    Some(found)
}

/// How many messages behind a committed offset its text says are settled.
pub(super) fn settled_behind(offset: i64, text: &str) -> i64 {
    ranges(offset, text).unwrap_or_default().iter().map(|(from, to)| to - from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(offsets: std::ops::Range<i64>) -> Window {
        let mut window = Window::resume(offsets.start, "");
        assert!(offsets.clone().all(|offset| window.take(offset)));
        window
    }

    #[test]
    fn a_commit_stands_at_the_first_message_that_is_not_settled() {
        let mut window = filled(5..10);
        assert_eq!(window.commit(), None);
        assert!(window.settle(6));
        assert!(!window.settle(6), "once");
        assert_eq!(window.commit(), Some((5, "p1:1,1".to_owned())));
        assert_eq!(window.commit(), None);
        window.settle(5);
        assert_eq!(window.commit(), Some((7, String::new())));
        assert!((7..10).all(|offset| window.settle(offset)));
        assert_eq!(window.commit(), Some((10, String::new())));
        // Offsets that never come (other transactions' marks) hold nothing up.
        assert!(window.take(15));
        window.settle(15);
        assert_eq!(window.commit(), Some((16, String::new())));
    }

    #[test]
    fn what_was_settled_out_of_order_is_known_in_the_next_life_and_the_one_after() {
        let mut window = filled(0..20);
        assert!((0..20).filter(|offset| offset % 3 != 1).all(|offset| window.settle(offset)));
        let (low, text) = window.commit().unwrap();
        assert_eq!((low, settled_behind(low, &text)), (1, 12));
        let mut next = Window::resume(low, &text);
        let first: Vec<i64> = (1..6).filter(|offset| next.take(*offset)).collect();
        assert_eq!(first, [1, 4]);
        let (low, text) = next.commit().unwrap();
        let mut after = Window::resume(low, &text);
        let open: Vec<i64> = (low..21).filter(|offset| after.take(*offset)).collect();
        assert_eq!(open, [1, 4, 7, 10, 13, 16, 19, 20]);
    }

    #[test]
    fn a_topic_that_was_made_anew_is_read_anew_and_what_comes_twice_counts_once() {
        let mut window = Window::resume(50, "p1:1,5");
        assert!(window.take(50) && !window.take(50));
        assert!(!window.take(51));
        window.settle(50);
        assert!(window.take(0) && window.take(1));
        assert_eq!(window.low(), 0);
    }

    #[test]
    fn a_text_that_is_not_ours_is_nothing_and_ours_is_bounded() {
        for text in ["", "x", "p1:", "p1:a,1", "p1:1,-4", "p2:1,1"] {
            assert_eq!(settled_behind(0, text), 0, "{text}");
        }
        let mut window = filled(0..10_000);
        assert!((0..10_000).filter(|offset| offset % 2 == 1).all(|offset| window.settle(offset)));
        let (low, text) = window.commit().unwrap();
        assert!(low == 0 && text.len() <= MAX_TEXT && settled_behind(0, &text) > 900, "{}", text.len());
    }
}
