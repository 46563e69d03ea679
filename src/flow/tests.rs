use std::sync::{Arc, Mutex};

use super::*;
use crate::event::{Data, Draft, Event};
use crate::fault::{Fault, FaultKind};

#[derive(Default)]
struct Ledger(Mutex<Vec<(u64, &'static str)>>);

impl Settle for Ledger {
    fn settle(&self, token: u64, verdict: Verdict) {
        let word = match verdict {
            Verdict::Ack => "ack",
            Verdict::Nack(_) => "nack",
            Verdict::Dropped => "dropped",
        };
        self.0.lock().unwrap().push((token, word));
    }
}

#[test]
fn a_receipt_settles_exactly_once_and_dropping_it_is_a_nack() {
    let ledger = Arc::new(Ledger::default());
    Receipt::new(ledger.clone(), 1).ack();
    Receipt::new(ledger.clone(), 2).nack(Fault::new(FaultKind::Full, "publish", "disk full"));
    drop(Receipt::new(ledger.clone(), 3));
    assert_eq!(*ledger.0.lock().unwrap(), [(1, "ack"), (2, "nack"), (3, "dropped")]);
}

#[test]
fn a_letter_gives_back_its_event_and_counts_how_often() {
    let event = Draft::new("7", "/shop", "order").with("subject", "s").data(Data::Text("{}")).build().unwrap();
    let fault = Fault::new(FaultKind::Unavailable, "deliver", "down");
    let time = jiff::Timestamp::UNIX_EPOCH;
    let obituary = letter::Obituary {
        reason: letter::Reason::Attempts,
        fault: &fault,
        address: "http://s/",
        attempts: 4,
        first: time,
        last: time,
        trigger: "default/t",
        subscriber: "s",
        topic: "orders",
    };
    let again = |event: &Event| letter::original(&obituary.letter(event).unwrap()).unwrap().unwrap();
    let once = again(&event);
    assert_eq!(once, event.draft().with(letter::REPLAYS, 1).build().unwrap());
    assert_eq!(letter::replays(&again(&once)), 2);
    let large = Draft::new("8", "/shop", "order").data(Data::Text(&"x".repeat(10_000))).build().unwrap();
    let cut = letter::fit(&obituary.letter(&large).unwrap(), 5_000).unwrap();
    assert_eq!(letter::original(&cut).unwrap(), None, "what was cut is not the event");
}

#[test]
fn names_are_legal_on_every_broker_or_refused() {
    assert!(Topic::new("default-shop.orders_1").is_ok());
    for bad in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(250)] {
        assert!(Topic::new(bad).is_err(), "{bad:?}");
    }
    assert_eq!(
        Group::new("a b").unwrap_err().to_string(),
        "consumer group \"a b\" must be 1 to 249 letters, digits, dots, dashes and underscores"
    );
}

#[test]
fn a_part_of_a_topic_has_its_number_and_the_first_is_named_as_the_topic() {
    let topic = Topic::new("orders").unwrap();
    let part = topic.part(3);
    assert_eq!((part.as_str(), part.number(), part.whole()), ("orders#3", 3, topic.clone()));
    assert_eq!((topic.part(0), topic.number(), part.part(4).number()), (topic.clone(), 0, 4));
    assert!(Topic::new(part.as_str()).is_err(), "no topic is named as a part");
}
