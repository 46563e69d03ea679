//! What became of the events of one request.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::fault::{Fault, FaultKind};
use crate::flow::{Settle, Verdict};

/// Collects the verdicts on the events of one request.
pub(super) struct Receipts {
    state: Mutex<State>,
    /// Holds one permit once the last verdict is in; one task waits at most.
    done: Notify,
}

struct State {
    open: usize,
    refusal: Option<Fault>,
}

impl Receipts {
    /// For a request of `events` events, at least one.
    pub(super) fn new(events: usize) -> Self {
        Self { state: Mutex::new(State { open: events, refusal: None }), done: Notify::new() }
    }

    /// Waits for every verdict. Cancel-safe.
    ///
    /// # Errors
    /// Why an event was not kept: `TooLarge` before any other, because sending it again is in vain.
    pub(super) async fn settled(&self) -> Result<(), Fault> {
        self.done.notified().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refusal.take().map_or(Ok(()), Err)
    }
}

impl Settle for Receipts {
    fn settle(&self, _: u64, verdict: Verdict) {
        let refusal = match verdict {
            Verdict::Ack => None,
            Verdict::Nack(fault) => Some(fault),
            Verdict::Dropped => Some(Fault::new(FaultKind::Closed, "keep an event", "nobody answered for it")),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = state.open.saturating_sub(1);
        if let Some(fault) = refusal {
            let final_word = state.refusal.as_ref().is_some_and(|known| known.kind() == FaultKind::TooLarge);
            if !final_word {
                state.refusal = Some(fault);
            }
        }
        if state.open == 0 {
            self.done.notify_one();
        }
    }
}
