//! The one answer to a frame: when all of its events are settled, and not before.
//!
//! daprd knows one outcome per message. When one event of a frame could not be kept and the whole
//! frame must come again, or nobody hears the answer, the events that are settled are remembered ([`Done`])
//! and passed over when it does.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::OwnedPermit;

use super::frames::Inbound;
use crate::flow::{Position, Settle, Verdict};
use crate::proto::dapr_runtime::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Request;
use crate::proto::dapr_runtime::topic_event_response::TopicEventResponseStatus as Answer;
use crate::proto::dapr_runtime::{
    SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsRequestProcessedAlpha1, TopicEventResponse,
};

/// Events that were settled and may come again, at most: many times what is in flight. An older one
/// that is forgotten is processed twice, which at-least-once allows.
const MAX_DONE: usize = 16_384;

/// What tells an event of a topic from all others: where it stands, and a hash of what it is, so
/// that a topic that was emptied and begun anew hides nothing.
pub(super) type Mark = (Position, u64);

pub(super) fn mark(inbound: &Inbound) -> Mark {
    let mut hasher = DefaultHasher::new();
    match &inbound.event {
        Ok(event) => (event.source(), event.id()).hash(&mut hasher),
        Err(poison) => poison.bytes.hash(&mut hasher),
    }
    (inbound.position, hasher.finish())
}

/// What is known of the events of a topic that come again. Bounded.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Those that are settled although the frames they came in were not.
    settled: Mutex<Marks>,
    /// How often those were refused that come alone, from a component that does not tell.
    refused: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Marks {
    known: HashSet<Mark>,
    /// In the order in which they came. May name marks that are forgotten already.
    order: VecDeque<Mark>,
}

#[derive(Debug, Default)]
struct Counts {
    known: HashMap<Mark, u32>,
    /// As above.
    order: VecDeque<Mark>,
}

impl Done {
    /// The number of the attempt at an event whose origin does not tell it: one more than it was refused.
    pub fn attempt(&self, mark: &Mark) -> u32 {
        self.counts(|counts| counts.known.get(mark).copied().unwrap_or_default().saturating_add(1))
    }

    fn refuse(&self, mark: &Mark) {
        self.counts(|counts| {
            let count = counts.known.entry(*mark).or_insert_with(|| {
                counts.order.push_back(*mark);
                0
            });
            *count = count.saturating_add(1);
            while counts.order.len() > MAX_DONE {
                if let Some(oldest) = counts.order.pop_front() {
                    counts.known.remove(&oldest);
                }
            }
        });
    }

    /// After this, the event begins anew when it comes again.
    fn accept(&self, mark: &Mark) {
        self.counts(|counts| {
            counts.known.remove(mark);
            if counts.known.is_empty() {
                counts.order.clear();
            }
        });
    }

    fn counts<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        work(&mut self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn contains(&self, mark: &Mark) -> bool {
        self.with(|marks| marks.known.contains(mark))
    }

    fn remember(&self, new: impl Iterator<Item = Mark>) {
        self.with(|marks| {
            for mark in new {
                if marks.known.insert(mark) {
                    marks.order.push_back(mark);
                }
            }
            while marks.order.len() > MAX_DONE {
                if let Some(oldest) = marks.order.pop_front() {
                    marks.known.remove(&oldest);
                }
            }
        });
    }

    fn forget(&self, settled: &[Mark]) {
        self.with(|marks| {
            if !marks.known.is_empty() {
                for mark in settled {
                    marks.known.remove(mark);
                }
            }
            if marks.known.is_empty() {
                marks.order.clear();
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Marks) -> T) -> T {
        work(&mut self.settled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Room for one answer on the way back; a frame is taken only when there is some.
pub(super) type Room = OwnedPermit<SubscribeTopicEventsRequestAlpha1>;

/// Says what became of the message `id`; whether anybody is there to hear it.
pub(super) fn send(room: Room, id: String, answer: Answer) -> bool {
    let status = Some(TopicEventResponse { status: answer.into() });
    let processed = SubscribeTopicEventsRequestProcessedAlpha1 { id, status };
    let request = Request::EventProcessed(processed);
    !room.send(SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(request) }).is_closed()
}

/// A message whose events are handed out.
pub(super) struct Unanswered {
    id: String,
    room: Mutex<Option<Room>>,
    marks: Vec<Mark>,
    /// By event: whether it is done with.
    settled: Vec<AtomicBool>,
    /// Events whose receipts are out.
    left: AtomicUsize,
    failed: AtomicBool,
    done: Arc<Done>,
    /// Messages of the stream that are not answered.
    pending: Arc<AtomicUsize>,
}

impl Unanswered {
    /// A message with these events, of which those that `done` knows are settled already: their
    /// indexes must not be handed out.
    pub fn new(id: String, room: Room, marks: Vec<Mark>, done: Arc<Done>, pending: Arc<AtomicUsize>) -> Self {
        let settled: Vec<AtomicBool> = marks.iter().map(|mark| AtomicBool::new(done.contains(mark))).collect();
        let left = settled.iter().filter(|settled| !settled.load(Ordering::Relaxed)).count();
        pending.fetch_add(1, Ordering::SeqCst);
        let (room, failed) = (Mutex::new(Some(room)), AtomicBool::new(false));
        Self { id, room, marks, settled, left: AtomicUsize::new(left), failed, done, pending }
    }

    /// The events that are to be handed out, by index.
    pub fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.marks.len()).filter(|index| !self.settled[*index].load(Ordering::Relaxed))
    }

    /// Answers when nothing is left to wait for.
    pub fn answer_if_settled(&self) {
        if self.left.load(Ordering::SeqCst) == 0 {
            self.answer();
        }
    }

    /// Notes what became of an event that came alone. One of a frame brings the number of its attempt along.
    fn alone(&self, note: impl FnOnce(&Done, &Mark)) {
        if let [mark] = self.marks.as_slice() {
            note(&self.done, mark);
        }
    }

    fn answer(&self) {
        let Some(room) = self.room.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let failed = self.failed.load(Ordering::SeqCst);
        let heard = send(room, self.id.clone(), if failed { Answer::Retry } else { Answer::Success });
        if heard && !failed {
            self.done.forget(&self.marks);
        } else {
            // The message comes again.
            let settled = self.marks.iter().zip(&self.settled).filter(|(_, settled)| settled.load(Ordering::SeqCst));
            self.done.remember(settled.map(|(mark, _)| *mark));
        }
        self.pending.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Settle for Unanswered {
    fn settle(&self, token: u64, verdict: Verdict) {
        match (verdict, usize::try_from(token).ok().and_then(|index| self.settled.get(index))) {
            (Verdict::Ack, Some(settled)) => {
                settled.store(true, Ordering::SeqCst);
                self.alone(Done::accept);
            }
            (verdict, _) => {
                if matches!(verdict, Verdict::Nack(_)) {
                    self.alone(Done::refuse);
                }
                self.failed.store(true, Ordering::SeqCst);
            }
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.answer();
        }
    }
}

/// Not answered, and nobody is left to do it (the receipts went with the process's end, or were
/// never made): the message comes again.
impl Drop for Unanswered {
    fn drop(&mut self) {
        self.failed.store(true, Ordering::SeqCst);
        self.answer();
    }
}
