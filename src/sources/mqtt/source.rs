//! Takes messages in, hands events out, and acknowledges what was kept.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::config::{Config, Qos};
use super::link::{Acks, Heard, Link};
use super::message::{self, Message, Terms};
use super::slots::{Slots, Taken, Token};
use crate::dial::Attempts;
use crate::fault::Fault;
use crate::flow::{self, Handout, Kept, Position};
use crate::task::{self, Clock, Shutdown};

/// Events that are handed out and not settled, at most; the broker is told with MQTT 5. As many wait
/// behind them, then the broker has to.
const WINDOW: u16 = 512;

/// For the last acknowledgements and the good-bye to be sent.
const LEAVING: Duration = Duration::from_secs(2);

/// One topic filter and where its events go.
pub type Entry = flow::Entry<Config>;

/// Listens to one topic filter.
pub struct Source {
    entry: Entry,
    clock: Clock,
}

impl Source {
    pub fn new(entry: Entry, clock: Clock) -> Self {
        Self { entry, clock }
    }
}

#[async_trait]
impl flow::Source for Source {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        let Self { entry, clock } = *self;
        let mut link = Link::new(&entry.config, &client_id(&entry), WINDOW)?;
        let acks = link.acks();
        let slots = Mutex::new(Slots::default());
        let (sender, work) = mpsc::channel(usize::from(WINDOW));
        {
            let intake = Intake { entry: &entry, clock: &clock, slots: &slots, acks: &acks, work: sender };
            let listening = intake.listen(&mut link);
            // The two are one task: no acknowledgement is sent between the loss of a connection
            // and the moment that `slots` knows of it.
            tokio::select! {
                // It ends with a fault only.
                ended = listening => return ended,
                () = settle(work, &slots, &acks, &shutdown) => {}
            }
        }
        if lock(&slots).is_connected() {
            task::within(LEAVING, leave(&mut link)).await;
        }
        Ok(())
    }
}

/// The broker tells clients apart by it, and keeps the session under it.
fn client_id(entry: &Entry) -> String {
    if let Some(id) = &entry.config.client_id {
        return id.clone();
    }
    let id = format!("penstock-{}", entry.identity.replace('/', "-"));
    if !entry.config.topic.starts_with("$share/") {
        return id;
    }
    // The replicas of a shared subscription are clients of their own.
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(host) if !host.trim().is_empty() => format!("{id}-{}", host.trim()),
        _ => id,
    }
}

/// One message's event on its way.
struct Work {
    handout: Handout,
    /// None with `QoS` 0, which acknowledges nothing.
    token: Option<Token>,
}

/// Listens, and makes work of what it hears.
struct Intake<'a> {
    entry: &'a Entry,
    clock: &'a Clock,
    slots: &'a Mutex<Slots>,
    acks: &'a Acks,
    work: mpsc::Sender<Work>,
}

impl Intake<'_> {
    /// Connects, and again when the connection is lost.
    ///
    /// # Errors
    /// When the broker refuses what it is asked for before it has once agreed, or the attempts that
    /// the settings allow are used up.
    async fn listen(&self, link: &mut Link) -> Result<(), Fault> {
        let Config { backoff, topic, .. } = &self.entry.config;
        let mut attempts = Attempts::new("the MQTT broker", backoff);
        let mut count = 0;
        loop {
            let fault = match link.next().await {
                Ok(Heard::Connected { resumed }) => {
                    lock(self.slots).connected(resumed);
                    // Asking anew would bring the retained messages anew.
                    if resumed && attempts.has_agreed() {
                        attempts.agreed();
                        tracing::info!(topic, "connected again to the MQTT broker");
                        continue;
                    }
                    match link.subscribe(&self.entry.config) {
                        Ok(()) => continue,
                        Err(fault) => fault,
                    }
                }
                Ok(Heard::Subscribed) => {
                    attempts.agreed();
                    tracing::info!(topic, "subscribed at the MQTT broker");
                    continue;
                }
                Ok(Heard::Message(message)) => {
                    count += 1;
                    self.take(&message, count).await;
                    continue;
                }
                Ok(Heard::Released(packet)) => {
                    lock(self.slots).release(packet);
                    continue;
                }
                Ok(Heard::Left | Heard::Other) => continue,
                Err(fault) => fault.with_context("topic", topic.clone()),
            };
            lock(self.slots).disconnected();
            link.forget();
            attempts.failed(fault).await?;
        }
    }

    async fn take(&self, message: &Message, count: u64) {
        let Entry { config, outlet, source, ty, .. } = self.entry;
        if message.retained && !config.retained {
            // MQTT 3.1.1 cannot ask for none.
            return self.acks.send(message.packet, message.qos);
        }
        let token = match message.qos {
            Qos::AtMostOnce => None,
            qos => match lock(self.slots).take(message) {
                Taken::New(token) => Some(token),
                Taken::OnItsWay => return,
                Taken::Kept => return self.acks.send(message.packet, qos),
            },
        };
        let now = self.clock.now();
        let event = message::event(message, &Terms { source, ty, json_body: config.json_body, now });
        let position = Position { major: count, minor: 0 };
        let handout = Handout::new(outlet.clone(), event, position, now, 1);
        // The other end is there as long as this is.
        drop(self.work.send(Work { handout, token }).await);
    }
}

/// Hands events out in the order in which they came, and acknowledges those that were kept; ends when
/// `shutdown` was requested and everything that is out is settled.
async fn settle(mut work: mpsc::Receiver<Work>, slots: &Mutex<Slots>, acks: &Acks, shutdown: &Shutdown) {
    let mut out = FuturesUnordered::new();
    loop {
        let stopping = shutdown.is_requested();
        if stopping && out.is_empty() {
            return;
        }
        tokio::select! {
            biased;
            Some(token) = out.next(), if !out.is_empty() => {
                let token: Option<Token> = token;
                if let Some(token) = token && lock(slots).keep(token) {
                    acks.send(token.packet, token.qos);
                }
            }
            () = shutdown.requested(), if !stopping => {}
            Some(Work { mut handout, token }) = work.recv(), if !stopping && out.len() < usize::from(WINDOW) => {
                // Cancel-safe, and a message that is not handed out is not acknowledged.
                tokio::select! {
                    biased;
                    () = shutdown.requested() => continue,
                    given = handout.give() => if given.is_err() { continue },
                }
                out.push(kept(handout, token, shutdown.clone()));
            }
        }
    }
}

/// The token of a message that is to be acknowledged.
async fn kept(handout: Handout, token: Option<Token>, shutdown: Shutdown) -> Option<Token> {
    match handout.insisting().kept(shutdown).await {
        Kept::Yes => token,
        Kept::Never(_) | Kept::Stopped => None,
    }
}

async fn leave(link: &mut Link) {
    link.leave();
    // What comes in now is not acknowledged, and comes again.
    while !matches!(link.next().await, Ok(Heard::Left) | Err(_)) {}
}

fn lock(slots: &Mutex<Slots>) -> MutexGuard<'_, Slots> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}
