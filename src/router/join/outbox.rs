//! Delivers matches, one after the other, and removes each when it is safe.

use bytes::Bytes;
use tokio::sync::Notify;

use super::keys::{Keys, Part};
use super::record::{self, Item, Out};
use super::{Means, RETRY, Setup};
use crate::event::codec::json;
use crate::event::{Data, Draft, Event};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Stored, Topic, Write};
use crate::router::condition::Match;
use crate::router::delivery::{Destination, History};
use crate::router::route::Payload;
use crate::task::{self, Shutdown};

/// The `type` of an event that was made of several.
const JOINED_TYPE: &str = "events.openfunction.io.joined";

/// Matches that are read from the store at once.
const PAGE: usize = 64;

/// What is delivered of a match: its one event, its last event, or one event with all of them.
pub(super) fn joined(setup: &Setup, found: &Match<Item>) -> Result<Event, Fault> {
    let last = &found.events[&found.last];
    // Whoever builds a body picks from all of them, by their names; one event is picked from as it is.
    let builds = setup.destinations.iter().any(|destination| destination.body.is_some());
    if setup.join.is_of_single_events() || !builds && (found.events.len() == 1 || setup.join.payload == Payload::Last) {
        return Ok(last.item.event.clone());
    }
    let (mut data, mut id) = (Vec::new(), Vec::new());
    for (input, held) in &found.events {
        let name = &setup.join.names[*input];
        let mut event = Vec::new();
        json::write(&held.item.event, &mut event);
        let event = String::from_utf8(event).map_err(|error| unbuildable(&error))?;
        // A name is letters, digits, dots, dashes and underscores: nothing that JSON would have to escape.
        data.push(format!("\"{name}\":{event}"));
        id.push(format!("{name}={}/{}", held.item.topic, held.item.position));
    }
    let (data, id) = (format!("{{{}}}", data.join(",")), id.join(","));
    Draft::new(id, format!("/triggers/{}", setup.id), JOINED_TYPE)
        .with("time", last.at.to_string())
        .with("datacontenttype", "application/json")
        .data(Data::Text(&data))
        .build()
        .map_err(|error| unbuildable(&error))
}

fn unbuildable(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Internal, "join events", error.to_string())
}

/// Delivers what is in the outbox, and what is put there later, until the stop is asked for.
pub(super) async fn run(setup: &Setup, means: &Means, fired: &Notify, shutdown: &Shutdown) -> Result<(), Fault> {
    let prefix = Keys::new(&means.group, &setup.id).all(Part::Out);
    while !shutdown.is_requested() {
        let found = means.store.scan(prefix.as_bytes(), PAGE).await;
        let delivered = match found {
            Ok(found) if found.is_empty() => {
                tokio::select! {
                    () = shutdown.requested() => {}
                    () = fired.notified() => {}
                }
                continue;
            }
            Ok(found) => deliver(setup, means, found, shutdown).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = delivered {
            tracing::warn!(subscriber = setup.id, fault = fault.chain(), "cannot deliver what was joined yet");
            tokio::select! {
                () = shutdown.requested() => {}
                () = task::sleep(RETRY) => {}
            }
        }
    }
    Ok(())
}

async fn deliver(setup: &Setup, means: &Means, found: Vec<Stored>, shutdown: &Shutdown) -> Result<(), Fault> {
    for stored in found {
        if shutdown.is_requested() {
            break;
        }
        let ready = Ready::read(stored)?;
        ready.send(setup, means).await?;
        ready.remove(setup, means).await?;
    }
    Ok(())
}

/// A match, read from the outbox.
pub(super) struct Ready {
    pub key: Bytes,
    pub event: Event,
    revision: Revision,
    history: History,
    overflow: bool,
}

impl Ready {
    pub fn read(stored: Stored) -> Result<Self, Fault> {
        let (event, history, overflow) = open(&stored.value)?;
        Ok(Self { key: stored.key, event, revision: stored.revision, history, overflow })
    }

    /// To all destinations, one after the other. When one of them fails those before it get it again, with the same id.
    pub async fn send(&self, setup: &Setup, means: &Means) -> Result<(), Fault> {
        let (delivery, event) = (&means.delivery, &self.event);
        for destination in &setup.destinations {
            if self.overflow {
                let fault = Fault::new(FaultKind::Full, "hold a match", "too many matches of the subscriber are held");
                return delivery.give_up_held(destination, event, &self.history, &fault).await;
            }
            if setup.join.ordered {
                delivery.deliver_in_order(destination, event, self.history.clone()).await?;
            } else {
                delivery.deliver(destination, event, self.history.clone()).await?;
            }
        }
        Ok(())
    }

    pub async fn remove(&self, setup: &Setup, means: &Means) -> Result<(), Fault> {
        // A subscriber that was removed and came back numbers anew: what stands there must be what was delivered.
        let write = Write { key: self.key.clone(), value: None, expect: Expect::Revision(self.revision) };
        match means.store.write(vec![write]).await {
            Err(fault) if fault.kind() == FaultKind::Conflict => {
                tracing::debug!(subscriber = setup.id, "somebody else removed from the outbox what was delivered");
                Ok(())
            }
            written => written.map(drop),
        }
    }
}

/// Gives up what is in the outbox of a subscriber that does not exist any more; `gone` stands in for its destinations.
pub(super) async fn bury(means: &Means, gone: &Destination, value: &Bytes) -> Result<(), Fault> {
    let (event, history, _) = open(value)?;
    means.delivery.bury_orphan(gone, &event, &history).await
}

/// The event, where it stood, and whether it is to be given up.
fn open(value: &Bytes) -> Result<(Event, History, bool), Fault> {
    let out: Out = record::read(value)?;
    let topic = Topic::new(&out.topic).map_err(|error| record::damaged(&error))?;
    Ok((record::decode(&out.event)?, History::new(topic, record::position(out.place)), out.overflow))
}
