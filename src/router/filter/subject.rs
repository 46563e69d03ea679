//! The event under judgement, and what has been read of it so far.

use std::cell::OnceCell;

use super::Cause;
use super::json::{self, Invalid};
use crate::event::{Data, Event};

/// One event, with its payload checked at most once for all the filters that look at it.
pub struct Subject<'e> {
    event: &'e Event,
    payload: OnceCell<Payload<'e>>,
}

/// The data of an event, for filters that look inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'e> {
    Absent,
    /// Strict JSON.
    Json(&'e str),
    Unusable(Cause),
}

impl<'e> Subject<'e> {
    pub const fn new(event: &'e Event) -> Self {
        Self { event, payload: OnceCell::new() }
    }

    pub const fn event(&self) -> &'e Event {
        self.event
    }

    pub fn payload(&self) -> Payload<'e> {
        *self.payload.get_or_init(|| read(self.event))
    }
}

fn read(event: &Event) -> Payload<'_> {
    let text = match event.data() {
        None => return Payload::Absent,
        Some(Data::Text(text)) => text,
        Some(Data::Binary(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return Payload::Unusable(Cause::NotJson),
        },
    };
    if text.is_empty() {
        return Payload::Unusable(Cause::EmptyPayload);
    }
    match json::check(text) {
        Ok(()) => Payload::Json(text),
        Err(Invalid::Syntax) => Payload::Unusable(Cause::NotJson),
        Err(Invalid::TooDeep) => Payload::Unusable(Cause::TooDeep),
    }
}
