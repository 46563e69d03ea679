//! Delivers matches, one after the other, and removes each when it is safe.

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::keys::{self, Keys, Part};
use super::record::{self, About, Item, Out, What};
use super::{Means, RETRY, Setup};
use crate::event::codec::json;
use crate::event::{Data, Draft, Event};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Stored, Write};
use crate::router::body::{BATCH_TYPE, JOINED_TYPE};
use crate::router::condition::Match;
use crate::router::delivery::{Destination, History};
use crate::router::route::Payload;
use crate::task::{self, Shutdown};

/// Matches that are read from the store at once.
const PAGE: usize = 64;

/// What is delivered of a match: its one event, its last event, or one event with all of them.
pub(super) fn joined(setup: &Setup, found: &Match<Item>) -> Result<Event, Fault> {
    let last = &found.events[&found.last];
    // Whoever builds a body picks from all of them, by their names; one event is picked from as it is.
    let builds = setup.destinations.iter().any(|destination| destination.body.is_some());
    // In a batch nothing else says which input an event is of.
    let single = setup.join.is_of_single_events() && !(builds && setup.join.batch.is_some());
    if single || !builds && (found.events.len() == 1 || setup.join.payload == Payload::Last) {
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
    made(setup, &id, JOINED_TYPE, last.at, &data)
}

/// An event that is made here, with JSON for its data.
fn made(setup: &Setup, id: &str, ty: &str, at: Timestamp, data: &str) -> Result<Event, Fault> {
    Draft::new(id, format!("/triggers/{}", setup.id), ty)
        .with("time", at.to_string())
        .with("datacontenttype", "application/json")
        .data(Data::Text(data))
        .build()
        .map_err(|error| unbuildable(&error))
}

fn unbuildable(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Internal, "join events", error.to_string())
}

/// Delivers what is in the outbox, and what is put there later, until the stop is asked for.
pub(super) async fn run(setup: &Setup, means: &Means, fired: &Notify, shutdown: &Shutdown) -> Result<(), Fault> {
    let keys = Keys::new(&means.group, &setup.id);
    let prefix = keys.all(Part::Out);
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
            Ok(found) => deliver(setup, means, &keys, found, shutdown).await,
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

async fn deliver(
    setup: &Setup,
    means: &Means,
    keys: &Keys,
    found: Vec<Stored>,
    shutdown: &Shutdown,
) -> Result<(), Fault> {
    for stored in found {
        if shutdown.is_requested() {
            break;
        }
        let ready = Ready::read(setup, means, keys, stored).await?;
        ready.send(setup, means).await?;
        ready.remove(setup, means).await?;
    }
    Ok(())
}

/// A match, or a batch of them, read from the outbox.
pub(super) struct Ready {
    pub key: Bytes,
    pub event: Event,
    revision: Revision,
    about: About,
    what: What,
    /// The keys of the members of a batch.
    members: Vec<Bytes>,
}

impl Ready {
    pub async fn read(setup: &Setup, means: &Means, keys: &Keys, stored: Stored) -> Result<Self, Fault> {
        let Stored { key, value, revision } = stored;
        let (Out { about, what }, bytes) = record::read_with(&value)?;
        let (event, members) = if let What::Batch { first, next } = what {
            let members = members(means, keys, first, next).await?;
            let event = batch(setup, &members)?;
            (event, members.into_iter().map(|member| member.key).collect())
        } else {
            (record::read_event(bytes)?, Vec::new())
        };
        Ok(Self { key, event, revision, about, what, members })
    }

    /// To all destinations, one after the other. When one of them fails those before it get it again, with the same id.
    pub async fn send(&self, setup: &Setup, means: &Means) -> Result<(), Fault> {
        let (topic, position) = self.about.stood()?;
        let (delivery, event) = (&means.delivery, &self.event);
        for destination in &setup.destinations {
            let history = History::new(topic.clone(), position);
            let fault = match self.what {
                What::Event | What::Batch { .. } if setup.join.ordered => {
                    delivery.deliver_in_order(destination, event, history).await?;
                    continue;
                }
                What::Event | What::Batch { .. } => {
                    delivery.deliver(destination, event, history).await?;
                    continue;
                }
                What::Overflow => {
                    Fault::new(FaultKind::Full, "hold a match", "too many matches of the subscriber are held")
                }
                What::TooLarge => Fault::new(FaultKind::TooLarge, "join events", "it is larger than the bus takes"),
            };
            return delivery.give_up_joined(destination, event, &history, &fault).await;
        }
        Ok(())
    }

    pub async fn remove(&self, setup: &Setup, means: &Means) -> Result<(), Fault> {
        // A subscriber that was removed and came back numbers anew: what stands there must be what was delivered.
        let own = Write { key: self.key.clone(), value: None, expect: Expect::Revision(self.revision) };
        let members = self.members.iter().cloned().map(delete);
        match means.store.write(std::iter::once(own).chain(members).collect()).await {
            Err(fault) if fault.kind() == FaultKind::Conflict => {
                tracing::debug!(subscriber = setup.id, "somebody else removed from the outbox what was delivered");
                Ok(())
            }
            written => written.map(drop),
        }
    }
}

fn delete(key: Bytes) -> Write {
    Write { key, value: None, expect: Expect::Anything }
}

/// The matches with these numbers.
async fn members(means: &Means, keys: &Keys, first: u64, next: u64) -> Result<Vec<Stored>, Fault> {
    let found = means.store.scan(keys.all(Part::Gather).as_bytes(), usize::MAX).await?;
    let wanted = |stored: &Stored| keys::number(&stored.key).is_some_and(|number| (first..next).contains(&number));
    Ok(found.into_iter().filter(wanted).collect())
}

/// One event with all members as a list. Its id is made of their places on the bus.
fn batch(setup: &Setup, members: &[Stored]) -> Result<Event, Fault> {
    let mut data = String::from("[");
    let mut places = ring::digest::Context::new(&ring::digest::SHA256);
    let mut last = Timestamp::UNIX_EPOCH;
    for (number, Stored { value, .. }) in members.iter().enumerate() {
        let (about, text) = record::read_with::<About>(value)?;
        places.update(format!("{}/{:?};", about.topic, about.place).as_bytes());
        last = last.max(record::time(about.at)?);
        if number > 0 {
            data.push(',');
        }
        data.push_str(std::str::from_utf8(&text).map_err(|error| record::damaged(&error))?);
    }
    data.push(']');
    let digest = data_encoding::HEXLOWER.encode(&places.finish().as_ref()[..16]);
    made(setup, &format!("{}-{digest}", members.len()), BATCH_TYPE, last, &data)
}

/// Gives up what is in the outbox of a subscriber that does not exist any more; `gone` stands in for its destinations.
/// A batch is given up with what was gathered.
pub(super) async fn bury(means: &Means, gone: &Destination, value: &Bytes) -> Result<(), Fault> {
    let (Out { about, what }, bytes) = record::read_with(value)?;
    if let What::Batch { .. } = what {
        return Ok(());
    }
    bury_one(means, gone, &about, &record::read_event(bytes)?).await
}

/// Gives up a match that waits for its batch.
pub(super) async fn bury_gathered(means: &Means, gone: &Destination, value: &Bytes) -> Result<(), Fault> {
    let (about, text) = record::read_with::<About>(value)?;
    let event = json::parse(&text).map_err(|error| record::damaged(&error))?;
    bury_one(means, gone, &about, &event).await
}

async fn bury_one(means: &Means, gone: &Destination, about: &About, event: &Event) -> Result<(), Fault> {
    let (topic, position) = about.stood()?;
    means.delivery.bury_orphan(gone, event, &History::new(topic, position)).await
}
