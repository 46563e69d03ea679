//! What a publisher says about a frame, in the metadata of its publish call.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ask::RAW_PAYLOAD;
use crate::flow::Deduplicate;

/// `true` marks a frame.
pub const FRAME: &str = "penstockFrame";
/// Milliseconds until the events are seen.
pub const DELAY: &str = "penstockDelayMs";
/// `event` (default), `never`, or the number of the attempt.
pub const DEDUPLICATE: &str = "penstockDeduplicate";

/// What holds for all events of a published frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub delay: Option<Duration>,
    pub deduplicate: Deduplicate,
}

impl Terms {
    /// Reads the metadata of a publish call; `None` when what it publishes is no frame.
    ///
    /// # Errors
    /// What is wrong with which key.
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        if metadata.get(FRAME).is_none_or(|text| text != "true") {
            return Ok(None);
        }
        let delay = match metadata.get(DELAY) {
            None => None,
            Some(text) => match text.parse() {
                Ok(millis) => Some(Duration::from_millis(millis)),
                Err(_) => return Err(format!("{DELAY}: {text:?} is no number of milliseconds")),
            },
        };
        let deduplicate = match metadata.get(DEDUPLICATE).map(String::as_str) {
            None | Some("event") => Deduplicate::Event,
            Some("never") => Deduplicate::Never,
            Some(text) => match text.parse() {
                Ok(attempt) => Deduplicate::Attempt(attempt),
                Err(_) => return Err(format!("{DEDUPLICATE}: {text:?} is not event, never or a number")),
            },
        };
        Ok(Some(Self { delay, deduplicate }))
    }

    /// Writes the metadata of a publish call whose data is a frame.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::from([
            (RAW_PAYLOAD.to_owned(), "true".to_owned()),
            (FRAME.to_owned(), "true".to_owned()),
            (
                DEDUPLICATE.to_owned(),
                match self.deduplicate {
                    Deduplicate::Never => "never".to_owned(),
                    Deduplicate::Event => "event".to_owned(),
                    Deduplicate::Attempt(attempt) => attempt.to_string(),
                },
            ),
        ]);
        if let Some(delay) = self.delay {
            // Rounded up: nothing is seen before its time.
            metadata.insert(DELAY.to_owned(), delay.as_micros().div_ceil(1000).to_string());
        }
        metadata
    }
}
