//! A member of a consumer group, as its reader sees it.

use std::sync::Arc;

use async_trait::async_trait;

use super::desk::Seat;
use super::message;
use crate::dial::nats::Delivery;
use crate::fault::Fault;
use crate::flow::{Receipt, Received, Subscriber};
use crate::task::Shutdown;

pub(super) struct Member {
    pub seat: Arc<Seat>,
    pub gone: Shutdown,
    pub max: usize,
    pub stream: Arc<str>,
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
            let ready = self.seat.ready(self.max);
            if !ready.is_empty() {
                // There is room for as many in the window now.
                self.seat.freed.notify_one();
                return Ok(ready.into_iter().map(|delivery| self.receive(delivery)).collect());
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
    fn receive(&self, delivery: Delivery) -> Received {
        let Delivery { sequence, attempt, published, .. } = delivery;
        Received {
            event: message::read(delivery, &self.stream),
            position: message::position(sequence),
            appended: message::time(published),
            attempt,
            receipt: Receipt::new(self.seat.clone(), sequence),
        }
    }
}
