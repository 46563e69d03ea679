//! Dapr pluggable components: what daprd connects to, over Unix sockets.
//!
//! One socket per kind; one kind serves many Components, which daprd tells apart by the call
//! metadata `x-component-instance`. A kind is handed in as a [`Factory`]: this room knows what daprd
//! wants, never what a kind is made of.
//!
//! - [`Server`]: the sockets, from bind to unlink. `socket` is one of them.
//! - `instances`: the Components that were initialised, by name.
//! - `pub_sub`, `state`: the two services. `publish` is the way in, `pull` the way out, `ack` what
//!   is on the way and not answered, `aside` what cannot be sent to daprd at all.
//! - `expiry`: what is over in a state store; `merge`: several writes of one key in a batch.
//! - `opaque`: bytes of one Publish as an event, and back.
//! - `status`: a [`Fault`] as daprd wants to hear it.
//!
//! A message is acknowledged to its origin when daprd says so, and never before; a stream that
//! ends hands everything unanswered out again. A component that daprd never initialised answers
//! `FAILED_PRECONDITION`, because daprd does not initialise a second time by itself.
//!
//! May import `proto`, `event`, `fault`, `task`, `telemetry`, `flow` and `frame`; never a kind,
//! `router` or `operator`.

mod ack;
mod aside;
mod expiry;
mod instances;
mod merge;
mod opaque;
mod pub_sub;
mod publish;
mod pull;
mod question;
mod server;
mod socket;
mod staged;
mod state;
mod status;

pub use server::{Server, routes};

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::fault::Fault;
use crate::flow::{Bus, Received, Source, Store};

/// One kind of component.
#[derive(Clone)]
pub struct Kind {
    /// The socket's name without its ending, such as `eventbus.embedded`; the Component's type is
    /// `pubsub.` or `state.` and this.
    pub name: &'static str,
    /// Whether it serves a state store, too.
    pub keeps_state: bool,
    pub factory: Arc<dyn Factory>,
}

/// Makes what a Component describes.
#[async_trait]
pub trait Factory: Send + Sync {
    /// Opens what the Component `instance` describes with its metadata, in which daprd's own keys
    /// are left out. Called again when the metadata has changed, after what was made before was
    /// stopped.
    ///
    /// # Errors
    /// `Rejected` for unknown keys and bad values, naming what is known; otherwise when it cannot
    /// be opened.
    async fn make(&self, instance: &str, metadata: &BTreeMap<String, String>) -> Result<Made, Fault>;
}

/// What a Component is.
pub enum Made {
    Bus {
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
    },
    /// A source, and the end of its outlet.
    Source {
        source: Box<dyn Source>,
        events: mpsc::Receiver<Received>,
    },
}

#[cfg(test)]
mod tests;
