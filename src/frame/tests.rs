use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::event::{Data, Draft};
use crate::flow::{Deduplicate, Start};
use crate::proto::cloudevents::CloudEventBatch;

fn event(id: &str) -> Event {
    let draft = Draft::new(id, "/s", "t").with("time", "2026-01-02T03:04:05.678Z");
    draft.with("datacontenttype", "application/json").data(Data::Text("{\"a\": 1}")).build().unwrap()
}

fn framed(id: &str, major: u64) -> Framed {
    Framed { event: Ok(event(id)), position: Position { major, minor: 2 }, appended: Timestamp::UNIX_EPOCH, attempt: 3 }
}

#[test]
fn a_frame_keeps_events_and_their_places() {
    let mut frame = Frame::default();
    frame.push(&framed("one", 7));
    frame.push(&framed("two", 8));
    let bound = frame.bytes();
    let message = frame.finish();
    assert!(message.len() <= bound, "{} > {bound}", message.len());
    let read = read_placed(message).unwrap();
    let seen: Vec<_> = read
        .iter()
        .map(|framed| (framed.event.as_ref().unwrap().id(), framed.position.major, framed.attempt))
        .collect();
    assert_eq!(seen, [("one", 7, 3), ("two", 8, 3)]);
    assert_eq!(read[0].event.as_ref().unwrap(), &event("one"));
    assert!(read_placed(Frame::default().finish()).unwrap().is_empty(), "an empty frame is a heartbeat");
}

#[test]
fn a_frame_reads_as_a_public_batch() {
    let mut frame = Frame::default();
    frame.push(&framed("one", 7));
    let batch = CloudEventBatch::decode(frame.finish()).unwrap();
    assert_eq!(batch.events[0].id, "one");
    let public = read(protobuf::write_batch([&event("one"), &event("two")])).unwrap();
    assert_eq!(public.iter().map(Event::id).collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn a_packed_frame_is_read_as_a_plain_one_is() {
    let mut frame = Frame::default();
    (0..100).for_each(|number| frame.push(&framed(&number.to_string(), number)));
    let plain = frame.finish();
    let packed = pack(plain.clone());
    assert!(is_packed(&packed) && !is_packed(&plain) && packed.len() < plain.len() / 2, "{}", packed.len());
    let ids = |message| {
        read_placed(message).unwrap().iter().map(|f| f.event.as_ref().unwrap().id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(packed.clone()), ids(plain));
    assert_eq!(read(packed.clone()).unwrap().len(), 100);
    let small = write([&event("one")]);
    assert_eq!(pack(small.clone()), small);
    assert!(matches!(read(packed.slice(..packed.len() - 1)), Err(InvalidFrame::Packed)));
}

#[test]
fn what_is_no_event_comes_to_readers_with_the_reason() {
    let fault = Fault::new(FaultKind::Malformed, "read an event", "no event at all");
    let poison = Poison { bytes: vec![7; MAX_POISON + 1].into(), fault };
    let mut frame = Frame::default();
    frame.push(&framed("one", 7));
    frame.push(&Framed { event: Err(poison), ..framed("two", 8) });
    let bound = frame.bytes();
    let message = frame.finish();
    assert!(message.len() <= bound, "{} > {bound}", message.len());
    let read = read_placed(message).unwrap();
    let poison = read[1].event.as_ref().unwrap_err();
    assert_eq!((poison.bytes.len(), read[1].position.major), (MAX_POISON, 8));
    assert!(poison.fault.to_string().contains("no event at all"), "{}", poison.fault);
}

#[test]
fn what_says_that_it_is_too_large_is_not_unpacked() {
    let bomb = pack(vec![0; 3 * DAPRD_LIMIT].into());
    assert!(is_packed(&bomb) && bomb.len() < 10_000);
    assert!(matches!(read(bomb), Err(InvalidFrame::Packed)));
}

#[test]
fn a_subscriber_says_how_frames_may_be_packed() {
    let packed = |packing: &[(&str, &str)]| {
        let frames = [("rawPayload", "true"), ("penstockFrames", "true")];
        Ask::read(&metadata(&[&frames, packing].concat())).unwrap().frames.unwrap().packed
    };
    assert!(!packed(&[]));
    assert!(packed(&[("penstockPacking", "zstd")]));
    assert!(packed(&[("penstockPacking", "better, zstd")]));
    assert!(!packed(&[("penstockPacking", "better")]));
}

#[test]
fn what_is_no_frame_is_refused_as_a_whole() {
    assert!(matches!(read(Bytes::from_static(b"\xff\xff")), Err(InvalidFrame::Encoding(_))));
    assert!(matches!(read_placed(write([&event("one")])), Err(InvalidFrame::Places { events: 1, places: 0 })));
    let message =
        penstock::Frame { events: vec![event("one").record().clone(), Bytes::from_static(b"x")], places: vec![] };
    assert!(matches!(read(message.encode_to_vec().into()), Err(InvalidFrame::Event { index: 1, .. })));
}

fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn an_ask_comes_back_from_its_metadata() {
    let limits = Limits { bytes: 1000, events: 5, heartbeat: Duration::from_millis(250), packed: false };
    for reads in [Reads::InGroup, Reads::After(None), Reads::After(Some(Position { major: 7, minor: 9 }))] {
        let ask = Ask { frames: Some(limits), in_flight: 3, group: Some("g".into()), start: Start::Latest, reads };
        assert_eq!(Ask::read(&ask.metadata()).unwrap(), ask);
    }
    assert_eq!(Ask::read(&Ask::frames().metadata()).unwrap(), Ask::frames());
    let plain = Ask::read(&metadata(&[("rawPayload", "true"), ("other", "x")])).unwrap();
    assert!(plain.frames.is_none() && plain.group.is_none() && plain.start == Start::Earliest);
}

#[test]
fn a_bad_ask_names_its_key() {
    let check = |pairs: &[(&str, &str)], expected: &str| {
        assert_eq!(Ask::read(&metadata(pairs)).unwrap_err(), expected);
    };
    check(&[("penstockFrames", "yes")], "penstockFrames: \"yes\" is neither true nor false");
    check(&[("penstockFrames", "true")], "penstockFrames: frames can only be had with rawPayload: \"true\"");
    check(&[("penstockInFlight", "0")], "penstockInFlight: \"0\" is no whole number from 1 to 1024");
    check(
        &[("penstockFrames", "true"), ("rawPayload", "true"), ("penstockFrameBytes", "9999999")],
        "penstockFrameBytes: \"9999999\" is no whole number from 1 to 4128768",
    );
    check(&[("penstockRead", "begin")], "penstockRead: a topic can only be read with penstockFrames: \"true\"");
    check(&[("penstockRead", "7")], "penstockRead: \"7\" is neither begin nor a position");
    check(&[("penstockStart", "middle")], "penstockStart: \"middle\" is neither earliest nor latest");
}

#[test]
fn terms_come_back_from_their_metadata() {
    for deduplicate in [Deduplicate::Never, Deduplicate::Event, Deduplicate::Attempt(4)] {
        let terms = Terms { delay: Some(Duration::from_millis(1500)), deduplicate };
        assert_eq!(Terms::read(&terms.metadata()).unwrap(), Some(terms));
    }
    assert_eq!(Terms::read(&metadata(&[("rawPayload", "true")])).unwrap(), None);
    let bad = metadata(&[("penstockFrame", "true"), ("penstockDelayMs", "1s")]);
    assert_eq!(Terms::read(&bad).unwrap_err(), "penstockDelayMs: \"1s\" is no number of milliseconds");
}
