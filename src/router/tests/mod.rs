//! Test doubles: a bus in memory and sinks that do as they are told.

mod bus;
mod sink;

pub use bus::MemoryBus;
pub use sink::{Answer, TestSink};

use crate::event::{Data, Draft, Event};
use crate::flow::Topic;
use crate::router::condition::Condition;
use crate::router::filter::Filter;
use crate::router::route::{DeadLetter, Input, Policy, Subscriber, Target, Trigger};

pub fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

pub fn event(id: &str) -> Event {
    Draft::new(id, "/shop", "order")
        .with("subject", "orders/1")
        .with("priority", 3)
        .data(Data::Text("{\"total\":1.0}"))
        .build()
        .unwrap()
}

/// The text of an attribute.
pub fn text(event: &Event, name: &str) -> String {
    event.attribute(name).map(|value| value.text().into_owned()).unwrap_or_default()
}

pub fn input(name: &str, topic: &str) -> Input {
    Input { name: name.to_owned(), topic: topic.to_owned(), transform: None, filter: Filter::pass() }
}

/// A Trigger in the namespace `ns`; a subscriber is its name, the inputs that fire it, its targets
/// and its policy.
pub fn trigger(name: &str, inputs: Vec<Input>, subscribers: Vec<(&str, &[usize], Vec<Target>, Policy)>) -> Trigger {
    let any = Condition::any(inputs.len());
    let subscriber = |(subscriber, fires, targets, policy): (&str, &[usize], _, _)| Subscriber {
        id: format!("ns/{name}/{subscriber}"),
        name: subscriber.to_owned(),
        condition: any.clone(),
        fires: fires.to_vec(),
        join: None,
        targets,
        dead_letter: DeadLetter::Generated,
        policy,
        body: None,
    };
    Trigger {
        namespace: "ns".to_owned(),
        name: name.to_owned(),
        bus: "default".to_owned(),
        inputs,
        subscribers: subscribers.into_iter().map(subscriber).collect(),
    }
}
