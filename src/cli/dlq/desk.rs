//! Where dead letters are read and worked on, over any bus.
//!
//! They are read by a consumer group of their own, so nobody else loses one: what is only looked at is handed back, and a letter is
//! settled only when it is dropped, or when the bus has the event that was made of it. Whoever is killed in
//! between sends an event twice at worst, and to a subscriber not even that, as long as the bus knows duplicates.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cli::admin::Watched;
use crate::cli::run::CONSUMER_GROUP;
use crate::event::codec::json;
use crate::event::{Draft, Event};
use crate::fault::{Fault, FaultKind};
use crate::flow::{
    Bus, Deduplicate, Group, Outgoing, Position, Receipt, Received, Start, Subscriber, Subscription, Topic, letter,
};
use crate::router::delivery::readmit;
use crate::router::pipeline::retry_topic;
use crate::task;

use super::index::{Index, Place};
use super::order::{Action, Answer, Fate, Found, Goal, Order};

/// The consumer group that reads dead letters. Its lag is the number of those that nobody took care of.
const READERS: &str = "penstock-dlq";

/// As many dead letters of a topic are read at most: each that is passed over is held until the end.
const MOST: usize = 10_000;

/// A bus hands out what it has at once; what does not come for this long is in other hands.
const QUIET: Duration = Duration::from_secs(5);

/// How long it takes a bus at least to note what was settled.
const SETTLING: Duration = Duration::from_millis(20);

/// The dead letters of the buses that are open.
pub struct Desk {
    open: Watched,
    /// Where dead letters are; a process that has neither documents nor a plan is told with each order.
    index: Mutex<Option<Arc<Index>>>,
    /// One order at a time: two would take the letters out of each other's hands.
    turn: tokio::sync::Mutex<()>,
}

/// One bus and where its dead letters are.
struct Letters<'a> {
    place: &'a Place,
    bus: Arc<dyn Bus>,
}

impl Desk {
    /// The desk over buses that go by the names in the index; without one, an order has to bring it.
    pub fn new(open: Watched, index: Option<Index>) -> Self {
        Self { open, index: Mutex::new(index.map(Arc::new)), turn: tokio::sync::Mutex::new(()) }
    }

    /// From now on, dead letters are there.
    pub fn tell(&self, index: Index) {
        *self.known() = Some(Arc::new(index));
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Arc<Index>>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is asked. When it is dropped half-way, what was done is done, and every other letter is where it was.
    ///
    /// # Errors
    /// `Conflict` when another order is being worked on; `NotFound` when the topic that was named is none for dead letters, or nobody
    /// said which are; `Unavailable` when a bus is not open; the bus's own when it cannot be read.
    pub async fn work(&self, order: &Order) -> Result<Answer, Fault> {
        let refused = |kind, message: String| Fault::new(kind, "work on dead letters", message);
        let _turn = self
            .turn
            .try_lock()
            .map_err(|_| refused(FaultKind::Conflict, "another order is being worked on".into()))?;
        let own = self.known().clone();
        let index = own.as_deref().or(order.index.as_ref()).ok_or_else(|| {
            let message = "this process knows no dead letters: ask a router, or the penstock run that started it";
            refused(FaultKind::NotFound, message.into())
        })?;
        let known = index.topics();
        if let Some(topic) = order.filter.topic.as_deref().filter(|topic| !known.contains(topic)) {
            let known: Vec<&str> = known.into_iter().collect();
            let message = format!("{topic} is no dead letter topic (known: {})", known.join(", "));
            return Err(refused(FaultKind::NotFound, message));
        }
        let open = (self.open)();
        let mut answer = Answer::default();
        for place in index.places() {
            let Some((_, bus)) = open.iter().find(|(name, _)| *name == place.bus) else {
                let message = format!("EventBus {} is not open in this process", place.name);
                return Err(refused(FaultKind::Unavailable, message));
            };
            let letters = Letters { place, bus: bus.clone() };
            for topic in place.topics.iter().filter(|topic| order.filter.topic.as_ref().is_none_or(|t| t == *topic)) {
                letters.read(topic, order, &mut answer).await?;
            }
        }
        Ok(answer)
    }
}

impl Letters<'_> {
    /// Works on the letters of one topic.
    async fn read(&self, topic: &str, order: &Order, answer: &mut Answer) -> Result<(), Fault> {
        let illegal = |error: crate::flow::InvalidName| {
            Fault::new(FaultKind::Rejected, "work on dead letters", error.to_string())
        };
        let (topic, group) = (Topic::new(topic).map_err(illegal)?, Group::new(READERS).map_err(illegal)?);
        let router = order.group.as_ref().or(self.place.group.as_ref()).map_or(CONSUMER_GROUP, String::as_str);
        let retries = retry_topic(&Group::new(router).map_err(illegal)?).map_err(illegal)?;
        let subscription =
            Subscription { topic: topic.clone(), group: group.clone(), start: Start::Earliest, max_in_flight: MOST };
        let mut member = self.bus.subscribe(subscription).await?;
        let all = self.bus.lag(&topic, &group).await?;
        let (mut left, mut read, mut settled, mut passed) = (all, 0, 0, Vec::new());
        while left > 0 {
            if read >= MOST {
                answer.more = true;
                break;
            }
            let Some(taken) = task::within(QUIET, member.next()).await.transpose()? else {
                answer.unseen += left;
                break;
            };
            if taken.is_empty() {
                break;
            }
            read += taken.len();
            left = left.saturating_sub(taken.len() as u64);
            for received in taken {
                match self.one(&topic, &retries, received, order, answer).await {
                    // Held until all were read: otherwise it would be handed out again at once.
                    Some(receipt) => passed.push(receipt),
                    None => settled += 1,
                }
            }
        }
        if settled > 0 {
            self.await_settled(&topic, &group, member.as_mut(), all.saturating_sub(settled)).await?;
        }
        Ok(())
    }

    /// Waits until the bus knows what was settled, so that nobody is told of it again; not for long when new letters come in
    /// the meantime.
    async fn await_settled(
        &self,
        topic: &Topic,
        group: &Group,
        member: &mut dyn Subscriber,
        rest: u64,
    ) -> Result<(), Fault> {
        let elapsed = task::stopwatch();
        while self.bus.lag(topic, group).await? > rest && elapsed() < QUIET {
            // Asking for more keeps the member at work; what it brings is handed back.
            if task::within(SETTLING, member.next()).await.transpose()?.is_some_and(|taken| taken.is_empty()) {
                break;
            }
        }
        Ok(())
    }

    /// Works on one letter; its receipt comes back when it is not settled.
    async fn one(
        &self,
        topic: &Topic,
        retries: &Topic,
        received: Received,
        order: &Order,
        answer: &mut Answer,
    ) -> Option<Receipt> {
        let Received { event, position, receipt, .. } = received;
        let letter = match event {
            Ok(letter) => letter,
            Err(poison) => unreadable(&poison.fault)?,
        };
        if !order.filter.takes(&letter) {
            return Some(receipt);
        }
        if answer.found.len() >= order.limit {
            answer.more = true;
            return Some(receipt);
        }
        let fate = match order.action {
            Action::List | Action::Show => Fate::Kept,
            Action::Drop if order.dry_run => Fate::WouldBeDropped,
            Action::Drop => Fate::Dropped,
            Action::Replay => match self.replay(topic, retries, &letter, position, order).await {
                Ok(fate) => fate,
                Err(fault) => Fate::Skipped(fault.chain()),
            },
        };
        let is_settled = matches!(fate, Fate::Replayed | Fate::Dropped);
        let mut found = Found::new(&self.place.name, topic.as_str(), position.to_string(), &letter, fate);
        if order.action == Action::Show {
            let mut bytes = Vec::new();
            json::write(&letter, &mut bytes);
            found.letter = serde_json::from_slice(&bytes).ok();
        }
        answer.found.push(found);
        if is_settled {
            receipt.ack();
            return None;
        }
        Some(receipt)
    }

    /// Sends the event of a letter again.
    async fn replay(
        &self,
        topic: &Topic,
        retries: &Topic,
        letter: &Event,
        position: Position,
        order: &Order,
    ) -> Result<Fate, Fault> {
        let stays = |why: String| Ok(Fate::Skipped(why));
        let replays = letter::replays(letter);
        if order.most_replays.is_some_and(|most| replays >= most) {
            return stays(format!("it was sent again {replays} times already"));
        }
        let Some(event) = letter::original(letter)? else {
            return stays("it is not whole: it never was an event, or its data was cut".to_owned());
        };
        let text = |name: &str| letter::text(letter, name).unwrap_or_default().into_owned();
        let Ok(origin) = Topic::new(&text(letter::TOPIC)) else {
            return stays("it does not say which topic it came on".to_owned());
        };
        let (to, outgoing) = match order.goal {
            Goal::Topic => (origin, Outgoing { event, delay: None, deduplicate: Deduplicate::Never }),
            Goal::Subscriber => {
                let id = format!("{}/{}", text(letter::TRIGGER), text(letter::SUBSCRIBER));
                let Some(keys) = self.place.subscribers.get(&id) else {
                    return stays(format!(
                        "there is no subscriber {id}; --to topic sends it to all who read its topic"
                    ));
                };
                let to_topic = text("knativeerrordest").starts_with("topic:");
                let key = keys.iter().find(|(_, is_topic)| *is_topic == to_topic).or_else(|| keys.first());
                let Some((key, _)) = key else { return stays(format!("{id} has no sink")) };
                let event = readmit(&event, key, &origin, topic, position)?;
                (retries.clone(), Outgoing { event, delay: None, deduplicate: Deduplicate::Attempt(1) })
            }
        };
        if order.dry_run {
            return Ok(Fate::WouldBeReplayed);
        }
        if let Some(rate) = order.rate {
            task::sleep(Duration::try_from_secs_f64(1.0 / rate).unwrap_or_default()).await;
        }
        let published = self.bus.publish(&to, vec![outgoing]).await.pop();
        let unanswered = || Err(Fault::new(FaultKind::Internal, "publish", "the bus gave no answer for the event"));
        published.unwrap_or_else(unanswered)?;
        Ok(Fate::Replayed)
    }
}

/// Stands in for bytes that are not even a letter, so that they can be told and dropped.
fn unreadable(fault: &Fault) -> Option<Event> {
    let fault = letter::safe(&fault.chain(), 256);
    let draft = Draft::new("unreadable", "/", letter::POISON_TYPE);
    draft.with(letter::REASON, "poison").with(letter::FAULT, fault).build().ok()
}
