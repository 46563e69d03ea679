//! What happened to an event on its way, as data.
//!
//! Whoever wants to show or keep it (the lines of a standalone run, the outcome journal,
//! `explain`) is an [`Observer`]. When none is enabled nothing is put together.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::fault::Fault;
use crate::flow::Topic;
use crate::flow::letter::Reason;
use crate::router::filter::Filter;

/// One step of one event.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'a> {
    /// Taken from a topic.
    Received { topic: &'a Topic },
    /// An input did not accept it. `trigger` is `namespace/name`; `undecided` when the filter
    /// could not tell, which counts as no. [`Filter::explain`] tells why.
    Filtered { trigger: &'a str, input: &'a str, filter: &'a Filter, undecided: bool },
    /// The transform of an input failed, which counts as not accepted; `cause` is from the closed
    /// list of the metrics.
    Untransformed { trigger: &'a str, input: &'a str, cause: &'static str },
    /// It was decided on for a subscriber that joins several events; `step` completes a sentence about it.
    Joined { subscriber: &'a str, step: &'a str },
    /// No input accepted it: it is done with.
    Unmatched { topic: &'a Topic },
    /// A sink took it; `subscriber` is `namespace/trigger/subscriber`, `attempt` counts from 1.
    Delivered { subscriber: &'a str, address: &'a str, code: Option<u16>, attempt: u32, took: Duration },
    /// An attempt failed and is made again after the pause, in place.
    Retrying { subscriber: &'a str, address: &'a str, fault: &'a Fault, attempt: u32, pause: Duration },
    /// An attempt failed, or the sink is busy: put aside for at least `due`.
    Parked { subscriber: &'a str, fault: &'a Fault, attempts: u32, due: Duration },
    /// It comes back to a subscriber after it was put aside.
    Replayed { subscriber: &'a str, attempts: u32 },
    /// Given up and handed to the dead letters at `to`.
    Dead { subscriber: &'a str, reason: Reason, fault: &'a Fault, attempts: u32, to: &'a str },
    /// Given up and forgotten, as `atMostOnce` asks.
    Dropped { subscriber: &'a str, fault: &'a Fault },
    /// Nothing could keep it: the bus hands it out again.
    Returned { fault: &'a Fault },
}

/// Learns of decisions. Called on the path of every event: it must not block.
pub trait Observer: Send + Sync {
    /// Whether it wants to know at all; asked before anything is put together.
    fn enabled(&self) -> bool;

    /// Whether it wants to know of every input that did not accept an event ([`Decision::Filtered`]): there may be
    /// thousands of them.
    fn wants_filtered(&self) -> bool {
        self.enabled()
    }

    fn decided(&self, event: &Event, decision: &Decision<'_>);
}

/// Tells several. They are asked in their order whether they want to know, as far as it matters.
pub struct All(pub Vec<Arc<dyn Observer>>);

impl Observer for All {
    fn enabled(&self) -> bool {
        self.0.iter().any(|observer| observer.enabled())
    }

    fn wants_filtered(&self) -> bool {
        self.0.iter().any(|observer| observer.wants_filtered())
    }

    fn decided(&self, event: &Event, decision: &Decision<'_>) {
        for observer in self.0.iter().filter(|observer| observer.enabled()) {
            observer.decided(event, decision);
        }
    }
}

/// Wants to know nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn enabled(&self) -> bool {
        false
    }

    fn decided(&self, _event: &Event, _decision: &Decision<'_>) {}
}
