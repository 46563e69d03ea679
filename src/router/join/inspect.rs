//! What a subscriber holds, for people.

use jiff::Timestamp;

use super::keys::{Keys, MATCH, Part};
use super::record::{self, Held, Item};
use crate::event::Event;
use crate::fault::Fault;
use crate::flow::{Group, Store};

/// What is kept under one word, as far as it is shown.
const SHOWN: usize = 1024;

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
    for stored in store.scan(held.as_bytes(), SHOWN).await? {
        let (_, at, item) = Item::open(&stored.value)?;
        found.push(Holding { input: name(&stored.key), at, event: item.event, until: None });
    }
    let mut until = None;
    for stored in store.scan(keys.all(Part::Hold).as_bytes(), SHOWN).await? {
        let input = name(&stored.key);
        // What is known of a match comes before its events.
        if input == MATCH {
            until = Some(record::time(record::read::<Held>(&stored.value)?.deadline)?);
            continue;
        }
        let (_, at, item) = Item::open(&stored.value)?;
        found.push(Holding { input, at, event: item.event, until });
    }
    Ok(found)
}

/// The input that an event is kept of.
fn name(key: &[u8]) -> String {
    let name = key.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
