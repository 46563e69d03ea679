//! The bell: tells at once that something was appended, on a connection of its own.
//!
//! It reads what comes after a position, and forgets it: nothing is taken, so nothing can be lost.
//! It is listened to only when there was nothing to fetch, and without it events come a little later.

use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::Value;

use super::server::{OUTAGE, Server};
use crate::dial::Link;
use crate::flow::Position;
use crate::task;

/// How long the server lets one question wait.
const WAIT: Duration = Duration::from_secs(5);
/// For its answer, which comes after that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens for one stream.
pub(super) struct Bell {
    server: Server,
    stream: String,
    link: Option<Link>,
    failures: u32,
}

/// A bell that rings later, or waits to be asked.
pub(super) enum Ringer {
    Idle(Option<Bell>),
    Listening(BoxFuture<'static, Bell>),
}

impl Ringer {
    pub(super) fn new(server: &Server, stream: &str) -> Self {
        Self::Idle(Some(Bell { server: server.clone(), stream: stream.to_owned(), link: None, failures: 0 }))
    }

    /// Returns when something may have been appended after the position. Cancel-safe: the question
    /// stays asked, with the position it was asked with, which only rings too early.
    pub(super) async fn rung(&mut self, after: Position) {
        if let Self::Idle(bell) = self
            && let Some(bell) = bell.take()
        {
            *self = Self::Listening(Box::pin(bell.listen(after)));
        }
        if let Self::Listening(listening) = self {
            let bell = listening.await;
            *self = Self::Idle(Some(bell));
        }
    }
}

impl Bell {
    async fn listen(mut self, after: Position) -> Self {
        if self.link.is_none() {
            self.link = self.server.own_link(PATIENCE).await.ok();
        }
        let millis = u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX);
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(millis).arg("STREAMS").arg(&self.stream).arg(after.to_string());
        let answer: Option<Value> = match &mut self.link {
            Some(link) => link.query(&command).await.ok(),
            None => None,
        };
        if answer.is_some() {
            self.failures = 0;
        } else {
            self.link = None;
            self.failures += 1;
            task::sleep(OUTAGE.pause(self.failures)).await;
        }
        self
    }
}
