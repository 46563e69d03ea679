//! A stream, read by a durable consumer: each message is acknowledged after its event was kept.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::{Client, Subject};
use futures_util::StreamExt;
use futures_util::future::{Fuse, FusedFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;

use super::consumer::{Consumer, Found};
use super::message::{self, Terms};
use super::source::{Entry, gone};
use crate::dial::nats::{Delivery, Heard, Pull, Told};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Handout, Kept, Position};
use crate::task::{self, Backoff, Shutdown};

/// Messages in flight, at most.
const WINDOW: usize = 256;
/// A request is worth sending when this share of the window is free, or nothing else is asked for.
const SHARE: usize = 4;
/// How many signs of progress fit into the time that the server waits: two may be lost.
const SIGNS: u32 = 3;
/// Before a message whose event was refused for good is brought again.
const BACK: Duration = Duration::from_secs(30);
/// The pauses before a consumer that cannot be asked is looked after.
const TROUBLE: Backoff =
    Backoff { base: Duration::from_millis(100), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(1) };

/// A consumer that was found, and a reader of it.
pub struct Reader {
    client: Client,
    told: Arc<Told>,
    consumer: Consumer,
    found: Found,
    pull: Pull,
}

impl Reader {
    /// # Errors
    /// As [`Consumer::ensure`].
    pub(super) async fn open(client: Client, told: Arc<Told>, consumer: Consumer) -> Result<Self, Fault> {
        let found = consumer.ensure(&client, &told).await?;
        let pull = Pull::new(client.clone(), consumer.stream.clone(), consumer.name.clone()).await?;
        Ok(Self { client, told, consumer, found, pull })
    }

    /// Reads until `shutdown` and everything is settled, or the consumer is lost.
    pub(super) async fn work(self, entry: &Entry, shutdown: &Shutdown) -> Result<(), Fault> {
        let Self { client, told, consumer, found, mut pull } = self;
        // Beyond the window, messages wait on the server.
        let window = found.max_ack_pending.unwrap_or(WINDOW).min(WINDOW);
        let pace = found.ack_wait / SIGNS;
        let mut out = FuturesUnordered::new();
        let mut connections = told.connections();
        let mut failures = 0;
        let mut recovery = std::pin::pin!(Fuse::terminated());
        loop {
            let recovering = !recovery.is_terminated();
            if !recovering {
                pull.ask(window.saturating_sub(out.len()), window.div_ceil(SHARE)).await;
            }
            tokio::select! {
                biased;
                Some(()) = out.next(), if !out.is_empty() => {}
                () = shutdown.requested() => break,
                recovered = &mut recovery, if recovering => match recovered {
                    Ok(()) => {}
                    Err(fault) if may_pass(&fault) => {
                        failures += 1;
                        recovery.set(recover(&client, &told, &consumer, failures).fuse());
                    }
                    Err(fault) => return Err(fault),
                },
                changed = connections.changed() => match changed {
                    Ok(()) => pull.forget(),
                    Err(_) => return Err(gone()),
                },
                heard = pull.next(), if !recovering => match heard {
                    Some(Heard::Delivery(delivery)) => {
                        failures = 0;
                        let word = Word::new(&client, &delivery);
                        let mut handout = handout(*delivery, entry, &consumer.stream);
                        // Cancel-safe, and what is not handed out is given back.
                        tokio::select! {
                            biased;
                            () = shutdown.requested() => {
                                word.say(AckKind::Nak(None)).await;
                                break;
                            }
                            given = handout.give() => if given.is_err() { continue },
                        }
                        out.push(settle(handout, word, pace, shutdown.clone()));
                    }
                    Some(Heard::Status) => {}
                    Some(Heard::Trouble) => {
                        failures += 1;
                        recovery.set(recover(&client, &told, &consumer, failures).fuse());
                    }
                    None => return Err(gone()),
                },
            }
        }
        let mut back = Vec::new();
        pull.leave(|delivery| back.push(Word::new(&client, &delivery))).await;
        for word in back {
            word.say(AckKind::Nak(None)).await;
        }
        while let Some(()) = out.next().await {}
        // Acknowledgements that are lost cost a second delivery, no event.
        drop(task::within(Duration::from_secs(2), client.flush()).await);
        Ok(())
    }
}

/// Waits a little and makes sure that the consumer is there.
async fn recover(client: &Client, told: &Told, consumer: &Consumer, failures: u32) -> Result<(), Fault> {
    task::sleep(TROUBLE.pause(failures)).await;
    consumer.ensure(client, told).await.map(drop)
}

/// Whether the client comes back by itself.
fn may_pass(fault: &Fault) -> bool {
    matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Timeout)
}

/// Where the server is told about one message.
struct Word {
    client: Client,
    reply: Option<Subject>,
}

impl Word {
    fn new(client: &Client, delivery: &Delivery) -> Self {
        Self { client: client.clone(), reply: delivery.message.reply.clone() }
    }

    /// In an outage this waits once much is to be said.
    async fn say(&self, word: AckKind) {
        let Some(reply) = self.reply.clone() else { return };
        if let Err(error) = self.client.publish(reply, word.into()).await {
            tracing::debug!(error = %error, "an acknowledgement could not be sent");
        }
    }
}

fn handout(delivery: Delivery, entry: &Entry, stream: &str) -> Handout {
    let Entry { config, outlet, source, ty, .. } = entry;
    let Delivery { sequence, attempt, published, message } = delivery;
    let time = Timestamp::from_nanosecond(published).unwrap_or(Timestamp::UNIX_EPOCH);
    let terms = Terms { source, ty, json_body: config.json_body, time, place: Some((stream, sequence)) };
    let event = message::event(&message, &terms);
    Handout::new(outlet.clone(), event, Position { major: sequence, minor: 0 }, time, attempt)
}

/// Shows progress while one message is in work, then tells what became of it.
async fn settle(handout: Handout, word: Word, pace: Duration, shutdown: Shutdown) {
    let mut kept = std::pin::pin!(handout.kept(shutdown));
    let kept = loop {
        tokio::select! {
            biased;
            kept = &mut kept => break kept,
            () = task::sleep(pace) => word.say(AckKind::Progress).await,
        }
    };
    word.say(match kept {
        Kept::Yes => AckKind::Ack,
        Kept::Never(fault) => {
            tracing::warn!(fault = fault.chain(), "an event is refused; its message goes back to the stream");
            AckKind::Nak(Some(BACK))
        }
        Kept::Stopped => AckKind::Nak(None),
    })
    .await;
}
