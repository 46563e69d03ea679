//! A core subject: the server keeps nothing, so what is not kept here is lost.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::message::{self, Terms};
use super::source::{Entry, gone};
use crate::dial::nats::Told;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Handout, Kept, Position};
use crate::task::{self, Clock, Shutdown};

/// Events that are handed out and not settled, at most. Behind them, the client keeps as many messages as
/// [`super::source::MANNER`] says.
const WINDOW: usize = 512;
/// For the server to answer once.
const PATIENCE: Duration = Duration::from_secs(2);

/// A subscription that stands.
pub struct Core {
    subscriber: Subscriber,
    told: Arc<Told>,
}

impl Core {
    /// # Errors
    /// `Denied` when the server does not permit the subject.
    pub(super) async fn open(
        client: &Client,
        told: &Arc<Told>,
        subject: &str,
        group: Option<&str>,
    ) -> Result<Self, Fault> {
        const OPERATION: &str = "subscribe";
        let answer = match group {
            Some(group) => client.queue_subscribe(subject.to_owned(), group.to_owned()).await,
            None => client.subscribe(subject.to_owned()).await,
        };
        let subscriber = answer.map_err(|error| {
            Fault::new(FaultKind::Unavailable, OPERATION, "the connection takes no request").with_source(error)
        })?;
        // The server answers nothing to a subscription that it takes, but to what comes after it. What it
        // complains of takes a way of its own through the client: it is there with the second answer, or later, when
        // the client had no time for it.
        for _ in 0..2 {
            drop(task::within(PATIENCE, client.request(client.new_inbox(), "".into())).await);
        }
        match told.denied(subject) {
            Some(text) => Err(Fault::new(FaultKind::Denied, OPERATION, text)),
            None => Ok(Self { subscriber, told: told.clone() }),
        }
    }

    /// Hands out what comes until `shutdown`, and then what has come.
    ///
    /// # Errors
    /// `Closed` when the client did not come back, or the server does not permit the subject: nothing would come any
    /// more, and nobody would know.
    pub(super) async fn work(self, entry: &Entry, clock: &Clock, shutdown: &Shutdown) -> Result<(), Fault> {
        let Self { mut subscriber, told } = self;
        let mut out = FuturesUnordered::new();
        let (mut count, mut stopping, mut over) = (0, false, false);
        let mut denial = std::pin::pin!(told.denial(&entry.config.subject));
        loop {
            if over && out.is_empty() {
                return if stopping { Ok(()) } else { Err(gone()) };
            }
            tokio::select! {
                biased;
                Some(kept) = out.next(), if !out.is_empty() => {
                    if let Kept::Stopped = kept {
                        tracing::warn!(subject = entry.config.subject, "an event was not kept before the stop, and is lost");
                    }
                }
                text = &mut denial, if !stopping => {
                    return Err(Fault::new(FaultKind::Closed, "subscribe", text));
                }
                () = shutdown.requested(), if !stopping => {
                    stopping = true;
                    // The messages that are here already still come.
                    over = subscriber.drain().await.is_err();
                }
                message = subscriber.next(), if !over && out.len() < WINDOW => {
                    let Some(message) = message else {
                        over = true;
                        continue;
                    };
                    count += 1;
                    let mut handout = handout(&message, entry, clock, count);
                    // The far end is there until this has ended.
                    if handout.give().await.is_ok() {
                        out.push(handout.insisting().kept(shutdown.clone()));
                    }
                }
            }
        }
    }
}

fn handout(message: &Message, entry: &Entry, clock: &Clock, count: u64) -> Handout {
    let Entry { config, outlet, source, ty, .. } = entry;
    let time = clock.now();
    let event = message::event(message, &Terms { source, ty, json_body: config.json_body, time, place: None });
    Handout::new(outlet.clone(), event, Position { major: count, minor: 0 }, time, 1)
}
