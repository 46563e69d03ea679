//! Binary mode, whatever the binding: attributes one by one, the content type, and the data.

use std::borrow::Cow;

use super::{Value, add, duplicate};
use crate::event::{Data, Draft, Event, InvalidEvent, SPEC_VERSION};

/// An event that is put together.
pub(super) struct Binary<'a> {
    draft: Draft<'a>,
    version: Option<Cow<'a, str>>,
    content_type: Option<&'a str>,
}

impl<'a> Binary<'a> {
    /// `content_type`: what the protocol itself says of the data.
    pub(super) fn new(content_type: Option<&'a str>) -> Self {
        Self { draft: Draft::new("", "", ""), version: None, content_type }
    }

    /// Takes an attribute, under its name without the prefix that the binding gives it.
    ///
    /// # Errors
    /// When it is there already, or one too many.
    pub(super) fn take(&mut self, name: &'a str, value: Value<'a>) -> Result<(), InvalidEvent> {
        let slot = match name {
            "id" => &mut self.draft.id,
            "source" => &mut self.draft.source,
            "type" => &mut self.draft.ty,
            "specversion" => self.version.get_or_insert_default(),
            // The bindings have no such attribute beside the content type, though an example of MQTT's repeats it; where
            // someone sends it, the real one wins.
            "datacontenttype" if self.content_type.is_some() => return Ok(()),
            _ => return add(&mut self.draft, name, value),
        };
        if !slot.is_empty() {
            return Err(duplicate(name));
        }
        *slot = value.into_text();
        Ok(())
    }

    /// The event with this data; the protocols cannot tell empty data from none.
    ///
    /// # Errors
    /// When it is no valid event of a known version.
    pub(super) fn finish(mut self, body: &'a [u8]) -> Result<Event, InvalidEvent> {
        match self.version.as_deref() {
            Some(SPEC_VERSION) => {}
            Some(other) => return Err(InvalidEvent::SpecVersion(other.to_owned())),
            None => return Err(InvalidEvent::MissingAttribute("specversion")),
        }
        if let Some(content_type) = self.content_type {
            add(&mut self.draft, "datacontenttype", content_type.into())?;
        }
        self.draft.data = (!body.is_empty()).then(|| Data::detect(body));
        self.draft.build()
    }
}
