//! Writes of a state store that are too large for one call of daprd: they are put down in parts, and then made together.
//!
//! The parts are ordinary values of the store that end by themselves. The write that makes them all names no value but,
//! in its metadata, how many parts there are; they stand under its own key, numbered.

use std::collections::BTreeMap;

/// How many parts there are.
const PARTS: &str = "penstockParts";

/// Dapr's word for how long a value is kept.
const TTL: &str = "ttlInSeconds";

/// Long enough for all parts and the write behind them, however slow.
const LIFE: &str = "600";

/// What stands before the name of a batch, and tells where in its key it begins.
pub const PLACE: &str = "staged/";

/// The most parts: no batch has as many.
const MAX_PARTS: usize = 4096;

/// The key of a part of the batch with this key.
pub fn part(batch: &str, number: usize) -> String {
    format!("{batch}/{number}")
}

/// The metadata of a write that puts a part down.
pub fn fleeting() -> BTreeMap<String, String> {
    BTreeMap::from([(TTL.to_owned(), LIFE.to_owned())])
}

/// The metadata of the write that makes all of them.
pub fn made_of(parts: usize) -> BTreeMap<String, String> {
    BTreeMap::from([(PARTS.to_owned(), parts.to_string())])
}

/// Of how many parts a write is made; `None` when it is an ordinary one.
///
/// # Errors
/// What is wrong with the key.
pub fn parts(metadata: &BTreeMap<String, String>) -> Result<Option<usize>, String> {
    let Some(text) = metadata.get(PARTS) else { return Ok(None) };
    let parts = text.parse().ok().filter(|parts| (1..=MAX_PARTS).contains(parts));
    parts.map(Some).ok_or_else(|| format!("{PARTS}: {text:?} is no whole number from 1 to {MAX_PARTS}"))
}
