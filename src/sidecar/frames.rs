//! Batches cut into frames, and messages read as events.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use crate::event::codec::json;
use crate::event::{Event, InvalidEvent};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Deduplicate, Outgoing, Poison, Position};
use crate::frame::{self, EVENT_OVERHEAD, Framed, Terms};

/// One frame to publish, and how many events of the batch it answers for.
pub(super) struct Outbound {
    pub data: Bytes,
    pub metadata: BTreeMap<String, String>,
    pub delayed: bool,
    pub events: usize,
}

/// The batch as frames of at most `max_bytes` (a larger event has a frame of its own), in order. What
/// a publish call says holds for its whole frame, so events that differ in it are kept apart.
pub(super) fn split(batch: &[Outgoing], max_bytes: usize) -> impl Iterator<Item = Outbound> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        let terms = terms(rest.first()?);
        let mut bytes = 0;
        let fits = |outgoing: &&Outgoing| {
            let first = bytes == 0;
            bytes += outgoing.event.record().len() + EVENT_OVERHEAD;
            first || (bytes <= max_bytes && self::terms(outgoing) == terms)
        };
        let (taken, left) = rest.split_at(rest.iter().take_while(fits).count());
        rest = left;
        let data = frame::write(taken.iter().map(|outgoing| &outgoing.event));
        Some(Outbound { data, metadata: terms.metadata(), delayed: terms.delay.is_some(), events: taken.len() })
    })
}

fn terms(outgoing: &Outgoing) -> Terms {
    Terms { delay: outgoing.delay, deduplicate: outgoing.deduplicate }
}

/// The metadata of a frame without events, which asks whether the other end is well.
pub(super) fn question() -> BTreeMap<String, String> {
    Terms { delay: None, deduplicate: Deduplicate::Event }.metadata()
}

/// One event of a message.
pub(super) struct Inbound {
    pub event: Result<Event, Poison>,
    pub position: Position,
    /// Unknown for what did not come in a frame.
    pub appended: Option<Timestamp>,
    pub attempt: u32,
}

impl Inbound {
    /// Something whose origin says nothing about it.
    pub(super) fn bare(event: Result<Event, Poison>) -> Self {
        Self { event, position: Position::default(), appended: None, attempt: 1 }
    }
}

/// Reads what came where frames were asked for: a frame; or, from a component that does not know
/// them, the bytes of one message. Empty: a heartbeat. What cannot be read is poison, as a whole.
pub(super) fn read(data: &Bytes) -> Vec<Inbound> {
    let placed = |framed: Framed| {
        let Framed { event, position, appended, attempt } = framed;
        Inbound { event, position, appended: Some(appended), attempt }
    };
    match frame::read_placed(data.clone()) {
        Ok(events) => events.into_iter().map(placed).collect(),
        Err(_) if data.starts_with(b"{") => vec![Inbound::bare(json::parse(data).map_err(|e| poison(data, &e)))],
        Err(error) => vec![Inbound::bare(Err(Poison { bytes: data.clone(), fault: error.into() }))],
    }
}

pub(super) fn poison(bytes: &Bytes, error: &InvalidEvent) -> Poison {
    Poison { bytes: bytes.clone(), fault: Fault::new(FaultKind::Malformed, "read an event", error.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::Draft;

    fn outgoing(id: &str, delay: Option<u64>, deduplicate: Deduplicate) -> Outgoing {
        let event = Draft::new(id, "/shop", "order").with("time", "2026-01-01T00:00:00Z").build().unwrap();
        Outgoing { event, delay: delay.map(Duration::from_millis), deduplicate }
    }

    fn ids(data: &Bytes) -> Vec<String> {
        frame::read(data.clone()).unwrap().iter().map(|event| event.id().to_owned()).collect()
    }

    #[test]
    fn a_batch_is_one_frame_unless_its_events_differ_in_terms_or_it_is_full() {
        let batch = [
            outgoing("1", None, Deduplicate::Event),
            outgoing("2", None, Deduplicate::Event),
            outgoing("3", Some(1500), Deduplicate::Attempt(2)),
            outgoing("4", None, Deduplicate::Event),
        ];
        let told: Vec<_> = split(&batch, 1 << 20)
            .map(|frame| (ids(&frame.data), frame.delayed, Terms::read(&frame.metadata).unwrap().unwrap()))
            .collect();
        let expected = |ids: &[&str], index: usize| {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            (ids, batch[index].delay.is_some(), terms(&batch[index]))
        };
        assert_eq!(told, [expected(&["1", "2"], 0), expected(&["3"], 2), expected(&["4"], 3)]);
        let one = batch[0].event.record().len() + EVENT_OVERHEAD;
        let counts = |max| split(&batch[..2], max).map(|frame| frame.events).collect::<Vec<_>>();
        assert_eq!(counts(2 * one), [2]);
        assert_eq!(counts(2 * one - 1), [1, 1]);
        assert_eq!(counts(1), [1, 1], "an event that no frame has room for goes alone");
        assert_eq!(split(&[], 1).count(), 0);
    }

    #[test]
    fn no_events_are_a_heartbeat_and_what_is_no_frame_is_one_message() {
        assert!(read(&Bytes::new()).is_empty());
        let structured = Bytes::from_static(br#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#);
        let [one] = <[Inbound; 1]>::try_from(read(&structured)).ok().unwrap();
        assert_eq!(one.event.unwrap().id(), "1");
        let [poison] = <[Inbound; 1]>::try_from(read(&Bytes::from_static(b"\xff\xff"))).ok().unwrap();
        assert_eq!(poison.event.unwrap_err().bytes, b"\xff\xff".as_slice());
    }
}
