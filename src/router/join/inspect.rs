//! What a subscriber holds, for people.

use jiff::Timestamp;

use super::keys::{Keys, Part};
use super::record::{self, Held, Kept};
use crate::event::Event;
use crate::fault::Fault;
use crate::flow::{Group, Store};
use crate::router::condition::MAX_HOLDS;

/// An event that waits for others, or in a match that waits for the end of its hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    /// The input that accepted it.
    pub input: String,
    /// When the bus took it in.
    pub at: Timestamp,
    pub event: Event,
    /// Until when its match waits, if it is in one.
    pub until: Option<Timestamp>,
}

/// What the subscriber `id` (`namespace/trigger/subscriber`) of the router's `group` holds as far as the store knows: first the events that
/// wait for others. One that is too old to count is still there until another one arrives.
///
/// # Errors
/// When the store cannot be read.
pub async fn held(store: &dyn Store, group: &Group, id: &str) -> Result<Vec<Holding>, Fault> {
    let keys = Keys::new(group, id);
    let mut found = Vec::new();
    let held = keys.all(Part::Held);
    for stored in store.scan(held.as_bytes(), MAX_HOLDS).await? {
        let input = String::from_utf8_lossy(&stored.key[held.len()..]).into_owned();
        let (at, item) = record::read::<Kept>(&stored.value)?.open()?;
        found.push(Holding { input, at, event: item.event, until: None });
    }
    for stored in store.scan(keys.all(Part::Hold).as_bytes(), MAX_HOLDS).await? {
        let Held { events, deadline, .. } = record::read(&stored.value)?;
        let until = Some(record::time(deadline)?);
        for (input, kept) in &events {
            let (at, item) = kept.open()?;
            found.push(Holding { input: input.clone(), at, event: item.event, until });
        }
    }
    Ok(found)
}
