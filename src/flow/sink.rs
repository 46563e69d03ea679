//! The sink: where an event is delivered to.

use async_trait::async_trait;

use crate::event::Event;
use crate::fault::Fault;

/// What a sink answered when it took the event.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// The protocol's status code, where there is one.
    pub code: Option<u16>,
    /// A `CloudEvent` in the answer; used only by subscribers that ask for replies.
    pub reply: Option<Event>,
}

/// Takes events, one attempt each. Retries, parking and dead letters are the caller's.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Where it delivers to, without secrets, for logs, dead letters and status.
    fn address(&self) -> &str;

    /// One attempt. `Ok` means that the other side has the event. Cancelling leaves it delivered
    /// or not, unknown which.
    ///
    /// # Errors
    /// A fault whose retry class says whether another attempt can help.
    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault>;
}
