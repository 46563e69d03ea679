//! How far a schedule has come, as it is kept in the store.
//!
//! The key is `cron/` and the schedule's identity (`namespace/source/event`). The value is text: the
//! time up to which no tick is owed, then the schedule that this was said of, as in
//! `2024-05-01T00:00:00Z Europe/Berlin 0 6 * * *`.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::config::Schedule;
use crate::fault::Fault;
use crate::flow::{Expect, Store, Write};

/// The place of one schedule's mark.
pub(super) struct Mark {
    store: Arc<dyn Store>,
    key: Bytes,
    schedule: String,
}

/// What is known of a schedule's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// It runs for the first time, or as another schedule than before: it has missed nothing.
    /// No tick up to the time, where there is one, may come again.
    New(Option<Timestamp>),
    /// No tick up to this time is owed.
    Until(Timestamp),
}

impl Mark {
    pub(super) fn new(store: Arc<dyn Store>, identity: &str, schedule: &Schedule) -> Self {
        Self { store, key: format!("cron/{identity}").into(), schedule: schedule.to_string() }
    }

    /// # Errors
    /// When the store cannot answer. A value that cannot be read counts as none.
    pub(super) async fn load(&self) -> Result<Past, Fault> {
        let Some(stored) = self.store.get(&self.key).await? else { return Ok(Past::New(None)) };
        let text = std::str::from_utf8(&stored.value).unwrap_or_default();
        let (time, schedule) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match time.parse() {
            Ok(time) if schedule == self.schedule => Past::Until(time),
            Ok(time) => Past::New(Some(time)),
            Err(_) => Past::New(None),
        })
    }

    /// # Errors
    /// When the store cannot write.
    pub(super) async fn save(&self, until: Timestamp) -> Result<(), Fault> {
        let value = format!("{until} {}", self.schedule);
        let write = Write { key: self.key.clone(), value: Some(value.into()), expect: Expect::Anything };
        self.store.write(vec![write]).await.map(|_| ())
    }
}
