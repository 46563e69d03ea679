//! The end of an event that cannot be delivered.
//!
//! It becomes a letter and goes to the subscriber's dead letter sinks, or to the topic that is
//! generated for its own. A letter that cannot be written is parked like any event, with longer
//! and longer pauses and without a deadline: it is the last trace of an event. A dead letter sink
//! that refuses it for good is passed over in favour of the generated topic.

use crate::event::Event;
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::letter::{self, Obituary, Reason};
use crate::flow::{Deduplicate, Outgoing, Sink, Topic};
use crate::router::decision::Decision;
use crate::router::route::dead_letter_topic;
use crate::task::{self, Backoff};

use super::parking::{Grave, Parked};
use super::{Delivery, Destination, History, IN_PLACE, attempt};

/// Attempts to write a letter before it is parked, as far as the time in place allows.
const ATTEMPTS: u32 = 3;

/// As many dead letter sinks as a letter can keep apart; a document has at most two.
const MAX_SINKS: usize = 32;

/// What is known of a letter on its way.
struct Letter<'a> {
    event: &'a Event,
    fault: &'a Fault,
    grave: Grave,
}

impl Delivery {
    /// Gives the event up: writes it to the dead letters.
    pub(super) async fn give_up(
        &self,
        to: &Destination,
        event: &Event,
        history: &History,
        reason: Reason,
        fault: &Fault,
    ) -> Result<(), Fault> {
        let last = self.clock.now();
        let obituary = Obituary {
            reason,
            fault,
            address: to.sink.address(),
            attempts: history.attempts,
            first: history.first.unwrap_or(last),
            last,
            trigger: &to.trigger,
            subscriber: &to.name,
            topic: history.topic.as_str(),
        };
        let event = obituary.letter(event)?;
        self.write(to, history.clone(), Letter { event: &event, fault, grave: Grave { reason, done: 0 } }).await
    }

    /// Gives up a parked event whose destination does not exist any more; `to` stands in for it.
    ///
    /// # Errors
    /// When the event is not safe: its receipt must not be acknowledged.
    pub async fn bury_orphan(&self, to: &Destination, event: &Event, history: &History) -> Result<(), Fault> {
        let fault = Fault::new(FaultKind::NotFound, "deliver", "the subscriber does not exist any more");
        self.give_up(to, event, history, Reason::Unsubscribed, &fault).await
    }

    /// Gives up what cannot be joined: too many matches are held already, or it is too large.
    ///
    /// # Errors
    /// When the event is not safe: it must be kept.
    pub async fn give_up_joined(
        &self,
        to: &Destination,
        event: &Event,
        history: &History,
        fault: &Fault,
    ) -> Result<(), Fault> {
        let reason = if fault.kind() == FaultKind::TooLarge { Reason::Poison } else { Reason::Overflow };
        self.give_up(to, event, history, reason, fault).await
    }

    /// Tries again to write a letter that was parked.
    ///
    /// # Errors
    /// When the letter is not safe: its receipt must not be acknowledged.
    pub async fn bury(&self, to: &Destination, parked: Parked, grave: Grave) -> Result<(), Fault> {
        let fault = Fault::new(FaultKind::Unavailable, "deliver", parked.fault);
        self.write(to, parked.history, Letter { event: &parked.event, fault: &fault, grave }).await
    }

    async fn write(&self, to: &Destination, history: History, mut letter: Letter<'_>) -> Result<(), Fault> {
        let failed = if to.dead_letters.is_empty() {
            self.write_generated(letter.event, &history.topic).await.err()
        } else {
            self.write_sinks(to, &history, &mut letter).await
        };
        let Some(fault) = failed else {
            to.metrics.dead.inc();
            let generated = dead_letter_topic(history.topic.as_str());
            let address = to.dead_letters.first().map_or(generated.as_str(), |sink| sink.address());
            let Letter { event, fault, grave } = letter;
            self.tell(event, || Decision::Dead {
                subscriber: &to.id,
                reason: grave.reason,
                fault,
                attempts: history.attempts,
                to: address,
            });
            return Ok(());
        };
        self.park_letter(to, history, &letter, &fault).await
    }

    /// Writes to every sink that does not have it yet; answers with the last fault, if any.
    async fn write_sinks(&self, to: &Destination, history: &History, letter: &mut Letter<'_>) -> Option<Fault> {
        let mut failed = None;
        for (index, sink) in to.dead_letters.iter().enumerate().take(MAX_SINKS) {
            if letter.grave.done & 1 << index != 0 {
                continue;
            }
            let written = match self.write_sink(to, &**sink, letter.event).await {
                Err(fault) if !fault.is_retryable() => self.write_generated(letter.event, &history.topic).await,
                written => written,
            };
            match written {
                Ok(()) => letter.grave.done |= 1 << index,
                Err(fault) => failed = Some(fault),
            }
        }
        failed
    }

    async fn write_sink(&self, to: &Destination, sink: &dyn Sink, letter: &Event) -> Result<(), Fault> {
        if !self.turn_at_dead_letters(to).await {
            return Err(Fault::new(
                FaultKind::Throttled,
                "write a dead letter",
                "the rate limit leaves no room for it",
            ));
        }
        let Some(_entered) = to.dead_letter_gate.enter().await else {
            return Err(Fault::new(FaultKind::Throttled, "write a dead letter", "the dead letter sink is busy"));
        };
        let spent = task::stopwatch();
        let mut attempt = 1;
        loop {
            let answer = attempt::send(sink, letter, to.policy.timeout).await;
            to.dead_letter_gate.note(attempt::is_answered(&answer));
            let Err(fault) = answer else { return Ok(()) };
            let pause = Backoff::default().pause(attempt);
            let again = fault.is_retryable() && attempt < ATTEMPTS && spent() + pause <= IN_PLACE;
            if !again || !self.rest(pause).await {
                return Err(fault);
            }
            attempt += 1;
        }
    }

    /// Waits until the rate limit allows a letter; false when that takes too long.
    async fn turn_at_dead_letters(&self, to: &Destination) -> bool {
        let Some(pace) = &to.dead_letter_pace else { return true };
        let resting = to.dead_letter_gate.rest();
        // All letters are alike: there is no queue of those that were put aside.
        match pace.turn(resting.is_some(), true) {
            Some(wait) => wait.is_zero() || self.rest(wait).await,
            None => false,
        }
    }

    /// Writes the letter to the topic that is generated for `topic`, cut if the bus asks for it.
    async fn write_generated(&self, letter: &Event, topic: &Topic) -> Result<(), Fault> {
        let topic = generated(topic)?;
        let event = letter::fit(letter, self.bus.capability().max_event_bytes)?;
        // Two subscribers may give up the same event: their letters are no duplicates.
        let outgoing = Outgoing { event, delay: None, deduplicate: Deduplicate::Never };
        self.publish(&topic, outgoing).await.map(drop)
    }

    /// Keeps a letter that could not be written.
    async fn park_letter(
        &self,
        to: &Destination,
        mut history: History,
        letter: &Letter<'_>,
        fault: &Fault,
    ) -> Result<(), Fault> {
        let due = Backoff::default().pause(history.parks.saturating_add(1));
        let back = |fault: &Fault| fault.clone().with_retry(Retry::After(due));
        if !self.bus.capability().delayed {
            return Err(back(fault));
        }
        let parked = history.park_letter(letter.event, &to.key, letter.fault, letter.grave)?;
        match self.publish_parked(parked, &history, due).await {
            Ok(_) => {
                to.metrics.parked.inc();
                let attempts = history.attempts;
                self.tell(letter.event, || Decision::Parked { subscriber: &to.id, fault, attempts, due });
                Ok(())
            }
            Err(refused) => Err(back(&refused)),
        }
    }
}

/// The topic that is generated for the dead letters of `topic`.
pub(in crate::router) fn generated(topic: &Topic) -> Result<Topic, Fault> {
    Topic::new(&dead_letter_topic(topic.as_str()))
        .map_err(|error| Fault::new(FaultKind::Rejected, "name the dead letter topic", error.to_string()))
}
