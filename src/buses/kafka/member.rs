//! A member of a consumer group, as its reader sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::message;
use super::pool::Pool;
use crate::fault::Fault;
use crate::flow::{Received, Subscriber, Topic};
use crate::task::{self, Shutdown};

pub(super) struct Member {
    pool: Arc<Pool>,
    number: u64,
    topic: Topic,
    max: usize,
    gone: Shutdown,
}

impl Member {
    /// Of a pool that let it in.
    pub(super) fn new(pool: Arc<Pool>, topic: Topic, max: usize, gone: Shutdown) -> Self {
        Self { number: pool.member(), pool, topic, max, gone }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.pool.leave(self.number);
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn next(&mut self) -> Result<Vec<Received>, Fault> {
        let [mut filled, mut stirred] = self.pool.watches();
        loop {
            if self.gone.is_requested() {
                return Ok(Vec::new());
            }
            filled.mark_unchanged();
            stirred.mark_unchanged();
            let taken = self.pool.take(self.number, self.max)?;
            if !taken.is_empty() {
                let received = taken.into_iter().map(|(receipt, message, attempt)| Received {
                    event: message::read(&message, self.topic.as_str()),
                    position: message::position(message.partition, message.offset),
                    appended: message::time(&message),
                    attempt,
                    receipt,
                });
                return Ok(received.collect());
            }
            let due = self.pool.due();
            tokio::select! {
                _ = filled.changed() => {}
                _ = stirred.changed() => {}
                () = task::sleep(due.unwrap_or(Duration::MAX)), if due.is_some() => {}
                () = self.gone.requested() => {}
            }
        }
    }
}
