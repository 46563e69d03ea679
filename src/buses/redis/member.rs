//! A member of a consumer group, as its reader sees it.

use std::sync::Arc;

use async_trait::async_trait;

use super::message::{self, Entry};
use super::seat::Seat;
use crate::fault::Fault;
use crate::flow::{Receipt, Received, Subscriber};
use crate::task::Shutdown;

pub(super) struct Member {
    pub seat: Arc<Seat>,
    pub gone: Shutdown,
    pub stream: String,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.gone.request();
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        loop {
            if self.gone.is_requested() {
                return Ok(Vec::new());
            }
            let ready = self.seat.ready();
            if !ready.is_empty() {
                // There is room for as many in the window now.
                self.seat.freed.notify_one();
                return Ok(ready.into_iter().map(|(number, entry)| self.receive(number, &entry)).collect());
            }
            if let Some(fault) = self.seat.failed() {
                return Err(fault);
            }
            tokio::select! {
                () = self.seat.filled.notified() => {}
                () = self.gone.requested() => {}
            }
        }
    }
}

impl Member {
    fn receive(&self, number: u64, entry: &Entry) -> Received {
        Received {
            event: message::read(entry, &self.stream),
            position: entry.position,
            appended: message::time(entry.position),
            attempt: entry.attempt,
            receipt: Receipt::new(self.seat.clone(), number),
        }
    }
}
