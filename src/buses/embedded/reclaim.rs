//! Getting the space of deleted events back, without writing a tombstone for each.
//!
//! Retention only raises a topic's first offset; from then on nobody reads below it. Tables that
//! lie below as a whole are dropped as files, and whatever shares a table with living events is
//! left out when that table is next rewritten.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use fjall::compaction::filter::{CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict};
use fjall::{AbstractTree, Keyspace};

use super::layout::{log_key, log_offset, log_topic};

/// The first offset that is kept of each topic, as far as that is on disk: everything below may go.
#[derive(Clone, Debug, Default)]
pub(super) struct Floors(Arc<RwLock<HashMap<u32, u64>>>);

impl Floors {
    pub(super) fn raise(&self, topic: u32, first: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(topic, first);
    }

    fn of(&self, topic: u32) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&topic).copied().unwrap_or(0)
    }
}

impl Factory for Floors {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Filter { floors: self.clone(), topic: None, floor: 0 })
    }
}

struct Filter {
    floors: Floors,
    /// The topic of the item before, whose floor is known: keys come in order.
    topic: Option<u32>,
    floor: u64,
}

impl CompactionFilter for Filter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let (Some(topic), Some(offset)) = (log_topic(item.key()), log_offset(item.key())) else {
            return Ok(Verdict::Keep);
        };
        if self.topic != Some(topic) {
            self.topic = Some(topic);
            self.floor = self.floors.of(topic);
        }
        // No tombstone is needed: were an older version to come back, nobody would read it.
        Ok(if offset < self.floor { Verdict::Destroy } else { Verdict::Keep })
    }
}

/// Drops the tables of the log that lie below a topic's first offset. Waits for running
/// compactions, so it must not be called where others wait.
pub(super) fn drop_tables(log: &Keyspace, topic: u32, first: u64) -> fjall::Result<()> {
    Ok(log.tree.drop_range(log_key(topic, 0)..log_key(topic, first))?)
}
