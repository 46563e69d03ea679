//! Which offsets a group has settled: all below a low watermark, and ranges above it. Pure.

use std::collections::BTreeMap;

use super::layout::number;

/// A set of offsets, kept as everything below `low` and disjoint ranges above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    low: u64,
    /// Start to end (exclusive). Never touching each other or `low`.
    above: BTreeMap<u64, u64>,
}

impl Settled {
    /// Everything below `low`.
    pub(super) fn below(low: u64) -> Self {
        Self { low, above: BTreeMap::new() }
    }

    /// The first offset that is not settled.
    pub(super) fn low(&self) -> u64 {
        self.low
    }

    pub(super) fn contains(&self, offset: u64) -> bool {
        offset < self.low || self.range_around(offset).is_some()
    }

    /// The first offset from `offset` on that is not settled.
    pub(super) fn next_unsettled(&self, offset: u64) -> u64 {
        let offset = offset.max(self.low);
        self.range_around(offset).map_or(offset, |(_, end)| end)
    }

    /// Adds one offset; false when it was there.
    pub(super) fn add(&mut self, offset: u64) -> bool {
        if self.contains(offset) {
            return false;
        }
        let mut start = offset;
        let mut end = offset + 1;
        if let Some(after) = self.above.remove(&end) {
            end = after;
        }
        if let Some((&before, &before_end)) = self.above.range(..start).next_back()
            && before_end == start
        {
            self.above.remove(&before);
            start = before;
        }
        if start == self.low {
            self.low = end;
        } else {
            self.above.insert(start, end);
        }
        true
    }

    /// Settles everything below `low`; answers how many offsets were not settled before.
    pub(super) fn raise(&mut self, low: u64) -> u64 {
        if low <= self.low {
            return 0;
        }
        let mut lost = low - self.low;
        self.low = low;
        while let Some((&start, &end)) = self.above.first_key_value() {
            if start > self.low {
                break;
            }
            self.above.remove(&start);
            lost -= end.min(low) - start;
            self.low = self.low.max(end);
        }
        lost
    }

    /// How many offsets from `low` on are settled.
    pub(super) fn count_above(&self) -> u64 {
        self.above.iter().map(|(start, end)| end - start).sum()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 16 * self.above.len());
        bytes.extend_from_slice(&self.low.to_be_bytes());
        for (start, end) in &self.above {
            bytes.extend_from_slice(&start.to_be_bytes());
            bytes.extend_from_slice(&end.to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut settled = Self::below(number(bytes, 0)?);
        let mut last = settled.low;
        let ranges = bytes[8..].chunks(16);
        for range in ranges {
            let (start, end) = (number(range, 0)?, number(range, 8)?);
            if start <= last || end <= start {
                return None;
            }
            settled.above.insert(start, end);
            last = end;
        }
        Some(settled)
    }

    fn range_around(&self, offset: u64) -> Option<(u64, u64)> {
        let (&start, &end) = self.above.range(..=offset).next_back()?;
        (offset < end).then_some((start, end))
    }
}
