use std::sync::{Arc, Mutex};

use super::*;
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
