//! Subscribers whose condition joins several events: what they wait for, and what came of it, survives everything.
//!
//! - Topics are read for them from a place of their own on, in order and without receipts: [`Starts`] says where that
//!   is at first, [`Progress`] how far it came.
//! - [`Inbox`] is where the pipeline puts the events that one subscriber wants.
//! - [`Engine`] takes them out in the order in which the bus took them in, over all topics, feeds the pure
//!   fold of `condition`, and writes what changed to the store together with the matches: one atomic write, the
//!   outbox and the places up to which events are decided on in it.
//! - `outbox` delivers the matches, one after the other, and removes each when it is delivered, parked or with the dead letters.
//! - `ordered` does so for subscribers that want their events in order: one key after the other, nothing parked.
//! - [`Orphans`] ends what removed subscribers left behind: their matches become dead letters.
//! - `keys` and `record` are the keys under which and the form in which all that is stored; [`held`] shows it.
//!
//! What makes a replay decide the same: an event is decided only when every topic that the condition names was
//! read up to its time, ages are times of the bus, and a topic's events are taken once each, by their position. One
//! owner decides for a subscriber: who starts later fences off who was there before.

mod engine;
mod inbox;
mod inspect;
mod keys;
mod memory;
mod ordered;
mod orphans;
mod outbox;
mod progress;
mod record;
mod starts;

pub use engine::Engine;
pub use inbox::{Inbox, Observed};
pub use inspect::{Holding, held};
pub use orphans::Orphans;
pub use progress::Progress;
pub use starts::Starts;

use std::sync::Arc;
use std::time::Duration;

use crate::flow::{Bus, Group, Store};
use crate::router::delivery::{Delivery, Destination};
use crate::router::route;

/// The pause before something is tried again that failed for reasons of the store or the bus.
const RETRY: Duration = Duration::from_millis(200);

/// One subscriber that joins events.
#[derive(Clone)]
pub struct Setup {
    /// `namespace/trigger/subscriber`.
    pub id: String,
    pub join: route::Join,
    /// The topics of the Trigger's inputs, in their order, as far as the condition names them, and then their other parts.
    pub topics: Vec<Arc<Progress>>,
    pub inbox: Arc<Inbox>,
    pub destinations: Vec<Arc<Destination>>,
}

/// What the engine works with.
#[derive(Clone)]
pub struct Means {
    pub store: Arc<dyn Store>,
    pub bus: Arc<dyn Bus>,
    pub group: Group,
    pub delivery: Arc<Delivery>,
}
