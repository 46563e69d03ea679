//! What a router asks about a bus, and about all values of a store, by way of a state store's Get.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use prost::Message as _;
use tonic::Status;

use super::expiry;
use super::instances::Instance;
use super::status::status;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Ordering, Position, Stored};
use crate::frame::{Question, spot};
use crate::proto::penstock::answer::Answer as Content;
use crate::proto::penstock::{About, Answer, Begin, Count, End, Entry, Page, StateValue};
use crate::task::Clock;

/// Bytes of one answer: well below what daprd takes, unless one value is larger.
const PAGE: usize = 1 << 20;

/// Lists whose rest is kept, at most. Whoever asks for a rest that is not kept any more begins anew.
const MAX_RESTS: usize = 16;

/// What did not fit into the answers so far.
#[derive(Debug, Default)]
pub(super) struct Rests(Mutex<VecDeque<(u64, VecDeque<Entry>)>>);

impl Rests {
    /// As much as one answer takes; what is left is kept.
    fn page(&self, mut left: VecDeque<Entry>) -> Page {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = left.front() {
            bytes += entry.encoded_len();
            if bytes > PAGE && !entries.is_empty() {
                break;
            }
            entries.extend(left.pop_front());
        }
        if left.is_empty() {
            return Page { entries, rest: 0 };
        }
        let number = fastrand::u64(1..);
        let mut rests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rests.push_back((number, left));
        if rests.len() > MAX_RESTS {
            rests.pop_front();
        }
        Page { entries, rest: number }
    }

    fn take(&self, number: u64) -> Option<VecDeque<Entry>> {
        let mut rests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = rests.iter().position(|(known, _)| *known == number)?;
        rests.remove(place).map(|(_, left)| left)
    }
}

/// Answers a question. `prefix` is what the keys begin with that are listed.
pub(super) async fn answer(
    instance: &Instance,
    rests: &Rests,
    question: Question,
    prefix: &[u8],
    clock: &Clock,
) -> Result<Vec<u8>, Status> {
    let content = content(instance, rests, question, prefix, clock).await.map_err(|fault| status(&fault))?;
    Ok(Answer { answer: Some(content) }.encode_to_vec())
}

async fn content(
    instance: &Instance,
    rests: &Rests,
    question: Question,
    prefix: &[u8],
    clock: &Clock,
) -> Result<Content, Fault> {
    let refused = |status: Status| Fault::new(FaultKind::Unsupported, "answer a question", status.message());
    let bus = instance.bus().map_err(refused)?;
    let place = |position: Option<Position>| position.map(spot);
    Ok(match question {
        Question::About => {
            let capability = bus.capability();
            let max_event_bytes = capability.max_event_bytes as u64;
            Content::About(About { max_event_bytes, readable: capability.ordering == Ordering::Topic })
        }
        Question::End(topic) => {
            let end = bus.end(&topic).await?;
            Content::End(End { position: place(end.position), time: end.time.as_microsecond() })
        }
        Question::Begin(topic) => Content::Begin(Begin { position: place(bus.begin(&topic).await?) }),
        Question::Behind(topic, after) => Content::Count(Count { events: Some(bus.behind(&topic, after).await?) }),
        Question::Lag(topic, group) => match bus.lag(&topic, &group).await {
            Err(fault) if fault.kind() == FaultKind::NotFound => Content::Count(Count { events: None }),
            lag => Content::Count(Count { events: Some(lag?) }),
        },
        Question::Scan(limit) => {
            let now = clock.now();
            let found = instance.store().map_err(refused)?.scan(prefix, limit).await?;
            let entries = found.into_iter().map(|stored| entry(stored, prefix.len()));
            let entries = entries.filter(|entry| entry.as_ref().map_or(true, |(_, ends)| !expiry::is_over(*ends, now)));
            let entries: Result<VecDeque<Entry>, Fault> = entries.map(|entry| entry.map(|(entry, _)| entry)).collect();
            Content::Page(rests.page(entries?))
        }
        Question::Rest(number) => {
            let gone = || Fault::new(FaultKind::Unavailable, "go on with a list", "its rest is not kept any more");
            Content::Page(rests.page(rests.take(number).ok_or_else(gone)?))
        }
    })
}

/// A value as it is listed, and when it is over.
fn entry(stored: Stored, prefix: usize) -> Result<(Entry, i64), Fault> {
    let damaged = || Fault::new(FaultKind::Malformed, "read a state value", "it is damaged");
    let value = StateValue::decode(stored.value).map_err(|error| damaged().with_source(error))?;
    let rest = String::from_utf8(stored.key[prefix..].to_vec()).map_err(|error| damaged().with_source(error))?;
    Ok((Entry { rest, value: value.value, revision: stored.revision.0 }, value.expires))
}
