mod daprd;
mod receive;
mod send;
mod state;

use std::time::Duration;

use crate::event::{Data, Draft, Event};
use crate::flow::{Deduplicate, Group, Outgoing, Start, Subscription, Topic};
use crate::sidecar::{Frames, Settings};
use crate::task;
use daprd::Daprd;

use super::*;

fn topic() -> Topic {
    Topic::new("orders").unwrap()
}

fn event(id: &str) -> Event {
    let draft = Draft::new(id, "/shop", "order").with("datacontenttype", "application/json");
    draft.with("subject", "orders/1").data(Data::Text("{\"a\":1}")).build().unwrap()
}

fn outgoing(id: &str) -> Outgoing {
    Outgoing { event: event(id), delay: None, deduplicate: Deduplicate::Event }
}

fn subscription() -> Subscription {
    Subscription { topic: topic(), group: Group::new("router").unwrap(), start: Start::Earliest, max_in_flight: 100 }
}

fn bus(daprd: &Daprd, frames: Frames) -> Bus {
    // Silence is noticed after 150 ms.
    let settings = Settings { heartbeat: Duration::from_millis(50), ..Settings::new(frames) };
    Bus::new(daprd.connect(), "bus", settings, task::Clock::system())
}
