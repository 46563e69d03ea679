use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::Sink;
use crate::event::Draft;
use crate::fault::{Fault, FaultKind, Retry};
use crate::flow::{
    self, Bus, Capability, Deduplicate, Group, Ordering, Outgoing, Position, Published, Sink as _, Subscriber,
    Subscription, Topic,
};

/// Gives each publish the next scripted answer, and keeps what was published.
struct Script {
    answers: Mutex<Vec<Result<Published, Fault>>>,
    seen: Mutex<Vec<(Topic, Outgoing)>>,
}

#[async_trait]
impl Bus for Script {
    fn capability(&self) -> Capability {
        Capability {
            delayed: false,
            deduplicated: false,
            durable: false,
            ordering: Ordering::None,
            max_event_bytes: usize::MAX,
        }
    }

    async fn publish(&self, topic: &Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        self.seen.lock().unwrap().extend(batch.into_iter().map(|outgoing| (topic.clone(), outgoing)));
        self.answers.lock().unwrap().pop().into_iter().collect()
    }

    async fn subscribe(&self, _: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        Err(Fault::new(FaultKind::Unsupported, "subscribe", "not in this test"))
    }

    async fn lag(&self, _: &Topic, _: &Group) -> Result<u64, Fault> {
        Ok(0)
    }

    fn ailment(&self) -> Option<Fault> {
        None
    }

    async fn close(&self) -> Result<(), Fault> {
        Ok(())
    }
}

async fn deliver(answers: Vec<Result<Published, Fault>>) -> (Result<flow::Accepted, Fault>, Vec<(Topic, Outgoing)>) {
    let bus = Arc::new(Script { answers: Mutex::new(answers), seen: Mutex::default() });
    let sink = Sink::new(bus.clone(), Topic::new("shipped").unwrap());
    assert_eq!(sink.address(), "topic:shipped");
    let outcome = sink.deliver(&Draft::new("1", "/s", "t").build().unwrap()).await;
    let seen = std::mem::take(&mut *bus.seen.lock().unwrap());
    (outcome, seen)
}

#[tokio::test]
async fn the_event_is_published_as_it_is_and_never_taken_for_a_duplicate() {
    let (outcome, seen) = deliver(vec![Ok(Published::At(Position::default()))]).await;
    let accepted = outcome.unwrap();
    assert!(accepted.code.is_none() && accepted.reply.is_none());
    let [(topic, outgoing)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((topic.as_str(), outgoing.event.id()), ("shipped", "1"));
    assert_eq!((outgoing.delay, outgoing.deduplicate), (None, Deduplicate::Never));
}

#[tokio::test]
async fn a_fault_of_the_bus_keeps_its_kind_and_retry_class() {
    let full = Fault::new(FaultKind::Full, "publish", "no space left").with_retry(Retry::Never);
    let (outcome, _) = deliver(vec![Err(full)]).await;
    let fault = outcome.unwrap_err();
    assert_eq!((fault.kind(), fault.retry()), (FaultKind::Full, Retry::Never));
    assert_eq!(fault.to_string(), "failed to publish: no space left (address topic:shipped)");
}

#[tokio::test]
async fn a_bus_that_does_not_answer_has_not_taken_the_event() {
    let (outcome, _) = deliver(vec![]).await;
    assert_eq!(outcome.unwrap_err().kind(), FaultKind::Internal);
}
