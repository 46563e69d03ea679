//! The one answer to a frame: when all of its events are settled, and not before.
//!
//! daprd knows one outcome per message. When one event of a frame could not be kept and the whole
//! frame must come again, or nobody hears the answer, the events that are settled are remembered ([`Done`])
//! and passed over when it does.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Whether events come one by one, from a component that is not ours.
    alone: bool,
    /// Those that are settled although the frames they came in were not.
    settled: Mutex<Recent<()>>,
    /// How often those were refused that come alone, from a component that does not tell.
    refused: Mutex<Recent<u32>>,
}

/// Something about the latest marks.
#[derive(Debug, Default)]
struct Recent<T> {
    known: HashMap<Mark, T>,
    /// In the order in which they came. May name marks that are forgotten already.
    order: VecDeque<Mark>,
}

impl<T: Default> Recent<T> {
    /// What is known of a mark, from now on if it was not before.
    fn of(&mut self, mark: Mark) -> &mut T {
        if !self.known.contains_key(&mark) {
            while self.order.len() >= MAX_DONE {
                if let Some(oldest) = self.order.pop_front() {
                    self.known.remove(&oldest);
                }
            }
            self.order.push_back(mark);
        }
        self.known.entry(mark).or_default()
    }

    fn forget(&mut self, marks: &[Mark]) {
        if !self.known.is_empty() {
            for mark in marks {
                self.known.remove(mark);
            }
        }
        if self.known.is_empty() {
            self.order.clear();
        }
    }
}

impl Done {
    /// Nothing is known yet. `alone`: events come one by one, from a component that is not ours.
    pub fn new(alone: bool) -> Self {
        Self { alone, ..Self::default() }
    }

    /// The number of the attempt at an event whose origin does not tell it: one more than it was refused.
    pub fn attempt(&self, mark: &Mark) -> u32 {
        lock(&self.refused).known.get(mark).copied().unwrap_or_default().saturating_add(1)
    }

    fn refuse(&self, mark: &Mark) {
        let mut refused = lock(&self.refused);
        let count = refused.of(*mark);
        *count = count.saturating_add(1);
    }

    /// After this, the event begins anew when it comes again.
    fn accept(&self, mark: &Mark) {
        lock(&self.refused).forget(std::slice::from_ref(mark));
    }

    pub fn contains(&self, mark: &Mark) -> bool {
        lock(&self.settled).known.contains_key(mark)
    }

    fn remember(&self, new: impl Iterator<Item = Mark>) {
        let mut settled = lock(&self.settled);
        for mark in new {
            settled.of(mark);
        }
    }

    fn forget(&self, settled: &[Mark]) {
        lock(&self.settled).forget(settled);
    }
}

fn lock<T>(recent: &Mutex<Recent<T>>) -> MutexGuard<'_, Recent<T>> {
    recent.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Whether it is left without an answer: an event that came alone, and was let go of. Many a component of Dapr's drops
    /// what its app wants again, and keeps what it does not hear of.
    unheard: AtomicBool,
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
        let (room, failed, unheard) = (Mutex::new(Some(room)), AtomicBool::new(false), AtomicBool::new(false));
        Self { id, room, marks, settled, left: AtomicUsize::new(left), failed, unheard, done, pending }
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
        let answer = if failed { Answer::Retry } else { Answer::Success };
        let heard = !self.unheard.load(Ordering::SeqCst) && send(room, self.id.clone(), answer);
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
                match verdict {
                    Verdict::Nack(_) => self.alone(Done::refuse),
                    Verdict::Dropped if self.done.alone => self.unheard.store(true, Ordering::SeqCst),
                    Verdict::Ack | Verdict::Dropped => {}
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
        self.unheard.store(self.done.alone, Ordering::SeqCst);
        self.answer();
    }
}
