//! What was sent to daprd and not answered: message id to receipts.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::fault::{Fault, FaultKind};
use crate::flow::Receipt;
use crate::proto::dapr_components::PullMessagesRequest;
use crate::telemetry;

/// The receipts of one message: one event, or a frame of many, or none for a heartbeat.
pub(super) type Receipts = SmallVec<[Receipt; 1]>;

/// The unanswered messages of one stream. Dropping it hands their events out again.
#[derive(Debug)]
pub(super) struct InFlight {
    last: u64,
    held: HashMap<u64, Receipts>,
    counts: telemetry::Component,
}

impl InFlight {
    pub(super) fn new(counts: telemetry::Component) -> Self {
        Self { last: 0, held: HashMap::new(), counts }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Keeps the receipts of a message until it is answered; the id to send with it.
    pub(super) fn hold(&mut self, receipts: Receipts) -> String {
        self.last += 1;
        self.counts.sent.inc_by(receipts.len() as u64);
        self.counts.in_flight.inc_by(count(&receipts));
        self.held.insert(self.last, receipts);
        self.last.to_string()
    }

    /// Passes daprd's answer on to the message's origin. An answer to nothing is an answer that
    /// came twice.
    pub(super) fn settle(&mut self, answer: &PullMessagesRequest) {
        let id = answer.ack_message_id.parse::<u64>().ok();
        let Some(receipts) = id.and_then(|id| self.held.remove(&id)) else {
            tracing::debug!(id = answer.ack_message_id, "daprd answered a message that nobody waits for");
            return;
        };
        self.counts.in_flight.dec_by(count(&receipts));
        match &answer.ack_error {
            None => {
                self.counts.acked.inc_by(receipts.len() as u64);
                receipts.into_iter().for_each(Receipt::ack);
            }
            Some(error) => {
                self.counts.nacked.inc_by(receipts.len() as u64);
                tracing::debug!(id = answer.ack_message_id, error = error.message, "a message was not handled");
                let fault = Fault::new(FaultKind::Unavailable, "deliver through daprd", error.message.as_str());
                receipts.into_iter().for_each(|receipt| receipt.nack(fault.clone()));
            }
        }
    }
}

/// What daprd never answered is in flight no more.
impl Drop for InFlight {
    fn drop(&mut self) {
        self.counts.in_flight.dec_by(self.held.values().map(count).sum());
    }
}

fn count(receipts: &Receipts) -> i64 {
    i64::try_from(receipts.len()).unwrap_or(i64::MAX)
}
