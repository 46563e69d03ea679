//! Listens to an object storage, and hands out what is heard.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::config::{Config, Listen, Mode};
use super::listen::Link;
use super::record;
use crate::dial;
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Handout, Kept, Poison, Position};
use crate::task::{Clock, Group, Shutdown};

/// Events that are handed out and not settled, at most; then nothing is read, and the server drops what it has
/// no room for.
const WINDOW: usize = 512;

/// What is listened to, in the mode `listen`, and where its events go.
pub type Entry = flow::Entry<Config>;

/// Listens to one storage.
pub struct Source {
    entry: Entry,
    clock: Clock,
    /// What is handed out outlives the connection that brought it: nobody else has it.
    settling: Mutex<Group>,
    room: Arc<Semaphore>,
}

impl Source {
    pub fn new(entry: Entry, clock: Clock) -> Self {
        let settling = Mutex::new(Group::new(&Shutdown::new()));
        Self { entry, clock, settling, room: Arc::new(Semaphore::new(WINDOW)) }
    }

    /// # Errors
    /// In another mode.
    fn listen(&self) -> Result<&Listen, Fault> {
        match &self.entry.config.mode {
            Mode::Listen(listen) => Ok(listen),
            Mode::Webhook => Err(Fault::new(FaultKind::Internal, "listen", "a webhook does not listen")),
        }
    }
}

#[async_trait]
impl flow::Source for Source {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        let worked = dial::work(&*self, &self.listen()?.backoff, &shutdown).await;
        let settling = self.settling.into_inner().unwrap_or_else(PoisonError::into_inner);
        worked.and(settling.join().await)
    }
}

impl dial::Client for Source {
    const SERVER: &'static str = "the object storage";
    type Link = Link;

    async fn open(&self) -> Result<Link, Fault> {
        let selection = &self.entry.config.selection;
        let link = Link::open(self.listen()?, selection, &self.clock).await?;
        tracing::info!(bucket = selection.bucket, "listening to the object storage");
        Ok(link)
    }

    async fn work(&self, mut link: Link, shutdown: &Shutdown) -> Result<(), Fault> {
        loop {
            let heard = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                heard = link.line() => heard,
            };
            let heard = heard.inspect_err(|_| tracing::warn!("what happens without a connection is not heard of"))?;
            for event in self.events(&heard) {
                self.hand_out(event, shutdown).await;
            }
        }
    }
}

impl Source {
    /// Waits for room, hands an event out and has it settled.
    async fn hand_out(&self, event: Result<Event, Poison>, shutdown: &Shutdown) {
        let Ok(room) = self.room.clone().acquire_owned().await else { return };
        let (position, now) = (Position::default(), self.clock.now());
        let mut handout = Handout::new(self.entry.outlet.clone(), event, position, now, 1);
        if handout.give().await.is_err() {
            return;
        }
        let shutdown = shutdown.clone();
        let mut settling = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are settled are done with.
        while let Some(Some(_)) = settling.next().now_or_never() {}
        settling.spawn(async move {
            if let Kept::Stopped = handout.insisting().kept(shutdown).await {
                tracing::warn!("an event was not kept before the stop, and is lost");
            }
            drop(room);
            Ok(())
        });
    }

    fn events(&self, line: &Bytes) -> Vec<Result<Event, Poison>> {
        if line.trim_ascii().is_empty() {
            return Vec::new();
        }
        match record::heard(line, &self.entry.config) {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(error) => {
                let fault = Fault::new(FaultKind::Malformed, "read a notification", "it is none").with_source(error);
                vec![Err(Poison { bytes: line.clone(), fault })]
            }
        }
    }
}
