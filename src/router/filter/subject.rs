//! The event under judgement, and what has been read of it so far.

use std::cell::OnceCell;
use std::collections::HashMap;

use smallvec::SmallVec;

use super::Cause;
use super::json::{self, Invalid};
use super::path::{Found, Path};
use crate::event::{Data, Event};

/// One event, with its payload checked at most once for all the filters that look at it.
pub struct Subject<'e> {
    event: &'e Event,
    payload: OnceCell<Payload<'e>>,
    found: SmallVec<[OnceCell<Found<'e>>; INLINE_PATHS]>,
}

/// Filters on one topic mostly look at a few paths: these stay on the stack.
const INLINE_PATHS: usize = 2;

/// The distinct paths of filters that are matched together; each is evaluated once an event.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    list: Vec<Path>,
    slots: HashMap<Box<str>, usize>,
}

impl Paths {
    /// The place of `path`, which is added when it is new.
    pub(super) fn slot(&mut self, path: &Path) -> usize {
        *self.slots.entry(path.as_str().into()).or_insert_with(|| {
            self.list.push(path.clone());
            self.list.len() - 1
        })
    }
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
    pub fn new(event: &'e Event) -> Self {
        Self { event, payload: OnceCell::new(), found: SmallVec::new() }
    }

    /// A subject that keeps what each of `paths` finds.
    pub fn with_paths(event: &'e Event, paths: &Paths) -> Self {
        Self { found: paths.list.iter().map(|_| OnceCell::new()).collect(), ..Self::new(event) }
    }

    pub const fn event(&self) -> &'e Event {
        self.event
    }

    pub(super) fn slot(&self, slot: usize) -> Option<&OnceCell<Found<'e>>> {
        self.found.get(slot)
    }

    /// What the path at `slot` of `paths` finds; nothing when there is no payload to look into.
    pub(crate) fn find(&self, paths: &Paths, slot: usize) -> Option<&Found<'e>> {
        let Payload::Json(text) = self.payload() else {
            return None;
        };
        let path = paths.list.get(slot)?;
        Some(self.found.get(slot)?.get_or_init(|| path.find(text)))
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
