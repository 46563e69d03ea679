//! A sink that does as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Accepted, Sink};

#[derive(Clone)]
pub enum Answer {
    Code(u16),
    Fail(Fault),
    /// Takes it after this long.
    Slow(Duration),
    Hang,
    Panic,
    /// Takes it and answers with this event.
    Reply(Event),
}

impl Answer {
    pub fn fail(kind: FaultKind) -> Self {
        Self::Fail(Fault::new(kind, "post the event", "as told"))
    }
}

struct State {
    /// Given first, in order.
    script: VecDeque<Answer>,
    /// Given when the script is over.
    always: Answer,
    taken: Vec<Event>,
    attempts: usize,
    now: usize,
    peak: usize,
}

/// Cloning shares it.
#[derive(Clone)]
pub struct TestSink {
    address: String,
    state: Arc<Mutex<State>>,
}

impl TestSink {
    pub fn new(address: &str, always: Answer) -> Self {
        let state = State { script: VecDeque::new(), always, taken: Vec::new(), attempts: 0, now: 0, peak: 0 };
        Self { address: address.to_owned(), state: Arc::new(Mutex::new(state)) }
    }

    /// Takes everything.
    pub fn good() -> Self {
        Self::new("http://good", Answer::Code(200))
    }

    pub fn failing(kind: FaultKind) -> Self {
        Self::new("http://bad", Answer::fail(kind))
    }

    #[must_use]
    pub fn first(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.state.lock().unwrap().script.extend(answers);
        self
    }

    pub fn now_answers(&self, always: Answer) {
        self.state.lock().unwrap().always = always;
    }

    pub fn taken(&self) -> Vec<Event> {
        self.state.lock().unwrap().taken.clone()
    }

    /// The ids of the events it took, in order.
    pub fn ids(&self) -> Vec<String> {
        self.taken().iter().map(|event| event.id().to_owned()).collect()
    }

    pub fn attempts(&self) -> usize {
        self.state.lock().unwrap().attempts
    }

    /// The most attempts at the same time.
    pub fn peak(&self) -> usize {
        self.state.lock().unwrap().peak
    }

    fn begin(&self) -> (Answer, Busy) {
        let mut state = self.state.lock().unwrap();
        state.attempts += 1;
        state.now += 1;
        state.peak = state.peak.max(state.now);
        let always = state.always.clone();
        (state.script.pop_front().unwrap_or(always), Busy(self.state.clone()))
    }
}

/// One attempt in the making.
struct Busy(Arc<Mutex<State>>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().unwrap().now -= 1;
    }
}

#[async_trait]
impl Sink for TestSink {
    fn address(&self) -> &str {
        &self.address
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        let (answer, _busy) = self.begin();
        let reply = if let Answer::Reply(event) = &answer { Some(event.clone()) } else { None };
        let code = match answer {
            Answer::Code(code) => Some(code),
            Answer::Reply(_) => Some(200),
            Answer::Fail(fault) => return Err(fault),
            Answer::Slow(time) => {
                tokio::time::sleep(time).await;
                None
            }
            Answer::Hang => std::future::pending().await,
            Answer::Panic => panic!("as told"),
        };
        self.state.lock().unwrap().taken.push(event.clone());
        Ok(Accepted { code, reply })
    }
}
