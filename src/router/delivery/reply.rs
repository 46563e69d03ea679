//! What a sink answers with goes back to the topic that its event was read from, as with a broker of Knative.
//!
//! An answer carries how many answers led to it, and whose they were. One that closes a circle, or comes after too many,
//! becomes a dead letter: what was delivered stays delivered.

use super::{Delivery, Destination, History};
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::letter::{self, Reason};
use crate::flow::{Deduplicate, Outgoing};
use crate::router::decision::Decision;

/// How many answers led to an event, itself included.
const HOPS: &str = "penstockhops";
/// The subscribers whose sinks gave these answers: short digests, with commas between them.
const VIA: &str = "penstockvia";
/// The most answers in a row, each to the one before: longer than people plan, short enough to end a storm.
const MAX_HOPS: u32 = 8;
/// Bytes of a digest: enough to tell apart the subscribers of one chain.
const DIGEST: usize = 6;

impl Delivery {
    /// Puts the answer to `event` on the bus, or gives it up when it would go round.
    ///
    /// # Errors
    /// When nothing holds the answer: the event must be delivered again.
    pub(super) async fn reply(
        &self,
        to: &Destination,
        event: &Event,
        answer: &Event,
        history: &History,
    ) -> Result<(), Fault> {
        let limit = self.bus.capability().max_event_bytes.saturating_sub(letter::HEADROOM);
        let unusable = |kind, message: String| Fault::new(kind, "take the answer", message);
        let number = event.attribute(HOPS).and_then(|hops| hops.text().parse::<u32>().ok());
        let (hops, via) = (number.unwrap_or(0), letter::text(event, VIA).unwrap_or_default());
        let own = digest(&to.id);
        let circle = via.split(',').any(|digest| digest == own);
        let chain = if via.is_empty() { own } else { format!("{via},{own}") };
        let draft = answer.draft().with(HOPS, i32::try_from(hops.saturating_add(1)).unwrap_or(i32::MAX));
        let answer = draft.with(VIA, chain).build();
        let answer = answer.map_err(|error| unusable(FaultKind::Malformed, error.to_string()))?;
        if answer.record().len() > limit {
            return Err(unusable(
                FaultKind::TooLarge,
                format!("it is larger than the {limit} bytes that the bus takes"),
            ));
        }
        if circle || hops >= MAX_HOPS {
            let message = if circle {
                "an answer of this subscriber led to it: it would go round for ever".to_owned()
            } else {
                format!("it is the answer to an answer, {MAX_HOPS} of them in a row")
            };
            return self.break_circle(to, &answer, history, &unusable(FaultKind::Conflict, message)).await;
        }
        // Never by its id: many functions answer with that of the event.
        let outgoing = Outgoing { event: answer, delay: None, deduplicate: Deduplicate::Never };
        self.publish(&history.topic, outgoing).await?;
        to.metrics.replied.inc();
        Ok(())
    }

    async fn break_circle(
        &self,
        to: &Destination,
        answer: &Event,
        history: &History,
        fault: &Fault,
    ) -> Result<(), Fault> {
        if to.policy.at_most_once {
            to.metrics.dropped.inc();
            self.tell(answer, || Decision::Dropped { subscriber: &to.id, fault });
            return Ok(());
        }
        self.give_up(to, answer, history, Reason::Loop, fault).await
    }
}

fn digest(id: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
    data_encoding::HEXLOWER.encode(&digest.as_ref()[..DIGEST])
}
