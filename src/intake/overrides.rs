//! Attributes that an `EventSource` sets on its events, whatever their origin said.

use std::collections::BTreeMap;

use crate::event::{Draft, Event, InvalidEvent};

/// Attribute values to set; checked once, so that setting them cannot fail later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(String, String)>);

impl Overrides {
    /// # Errors
    /// When a name or a value is not legal, or is the `id`: every event needs its own.
    pub fn new(attributes: &BTreeMap<String, String>) -> Result<Self, InvalidEvent> {
        if attributes.contains_key("id") {
            let reason = "every event needs its own".to_owned();
            return Err(InvalidEvent::Value { name: "id".to_owned(), reason });
        }
        let overrides = Self(attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
        overrides.onto(Draft::new("id", "source", "type")).build()?;
        Ok(overrides)
    }

    /// The event with the attributes set; the same event when they are so already.
    pub fn apply(&self, event: Event) -> Event {
        let same = |(name, value): &(String, String)| event.attribute(name).is_some_and(|known| known.text() == *value);
        if self.0.iter().all(same) {
            return event;
        }
        // The overrides were checked to build, and the event was built before.
        let changed = self.onto(event.draft()).build();
        changed.unwrap_or(event)
    }

    fn onto<'a>(&'a self, draft: Draft<'a>) -> Draft<'a> {
        self.0.iter().fold(draft, |draft, (name, value)| draft.with(name.as_str(), value.as_str()))
    }
}
