use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::event::{Data, Draft};
use crate::fault::{Fault, FaultKind};
use crate::flow::Topic;
use crate::flow::letter::Reason;
use crate::router::filter::Values;

fn event(id: &str, data: &str) -> Event {
    Draft::new(id, "/shop", "order").data(Data::Text(data)).build().unwrap()
}

fn journal(capacity: usize) -> Journal {
    Journal::new(capacity, Clock::manual("2026-01-05T12:00:00Z".parse().unwrap()))
}

#[test]
fn everything_that_is_decided_on_an_event_is_told_back_in_order() {
    let (journal, topic) = (journal(0), Topic::new("orders").unwrap());
    let fault = Fault::new(FaultKind::Unavailable, "deliver", "down");
    let (subscriber, address) = ("default/t/s", "http://s/");
    let second = Duration::from_secs(1);
    let (one, other) = (event("1", "{}"), event("2", "{}"));
    let decisions = [
        Decision::Received { topic: &topic },
        Decision::Untransformed { trigger: "default/t", input: "i", cause: "script" },
        Decision::Joined { subscriber, step: "waits for others" },
        Decision::Unmatched { topic: &topic },
        Decision::Delivered { subscriber, address, code: Some(202), attempt: 3, took: second },
        Decision::Delivered { subscriber, address, code: None, attempt: 1, took: second * 100_000 },
        Decision::Retrying { subscriber, address, fault: &fault, attempt: 1, pause: second },
        Decision::Parked { subscriber, fault: &fault, attempts: 2, due: second },
        Decision::Replayed { subscriber, attempts: 2 },
        Decision::Dead { subscriber, reason: Reason::Attempts, fault: &fault, attempts: 4, to: "log:" },
        Decision::Dropped { subscriber, fault: &fault },
        Decision::Returned { fault: &fault },
    ];
    for decision in &decisions {
        journal.decided(&one, decision);
        journal.decided(&other, decision);
        journal.clock.advance(second);
    }
    let story = journal.story("1").unwrap();
    assert_eq!((story.event.as_ref(), story.topics), (Some(&one), vec!["orders".to_owned()]));
    let expected: Vec<Step> = decisions.iter().map(|decision| Step::of(&one, decision, Values::Shown)).collect();
    assert_eq!(story.steps.iter().map(|(_, step)| step.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(story.steps[11].0.to_string(), "2026-01-05T12:00:11Z");
    assert!(journal.story("3").is_none());
    let latest = journal.latest(10);
    assert_eq!(latest.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["2", "1"]);
    assert_eq!(latest[0].step, expected[11]);
}

#[test]
fn the_oldest_makes_room_and_what_is_too_large_is_kept_without_its_record() {
    let (journal, topic) = (journal(SMALLEST), Topic::new("orders").unwrap());
    let received = Decision::Received { topic: &topic };
    for number in 0..1000 {
        journal.decided(&event(&number.to_string(), &"x".repeat(1000)), &received);
    }
    assert!(journal.story("0").is_none());
    assert!(journal.story("999").unwrap().event.is_some());
    let kept = journal.latest(usize::MAX).len();
    assert!((50..65).contains(&kept), "{kept}");
    journal.decided(&event("large", &"x".repeat(SMALLEST)), &received);
    let story = journal.story("large").unwrap();
    assert!(story.event.is_none());
    assert_eq!(story.steps[0].1, Step::Received { topic: "orders".to_owned() });
}

proptest! {
    #[test]
    fn the_ring_tells_back_the_latest_entries_as_they_were_put_in(
        capacity in 400_usize..2000,
        texts in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4), 1..60),
    ) {
        let mut ring = Ring::new(capacity);
        let mut put = Vec::new();
        for (number, texts) in (0..).zip(texts) {
            let slices: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            if ring.fits(&slices) {
                put.push(Entry { kind: 3, at: -7, count: number, span: u64::MAX, texts: texts.clone() });
            }
            ring.push(3, -7, number, u64::MAX, &slices);
        }
        let kept: Vec<Entry> = ring.entries().collect();
        prop_assert!(put.ends_with(&kept));
        prop_assert!(kept.len() == put.len() || kept.len() >= 7, "an entry is at most an eighth");
    }
}
