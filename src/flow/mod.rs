//! The seams that events flow through: [`Source`], [`Bus`], [`Sink`], [`Store`], and the
//! [`Receipt`] that runs back.
//!
//! Every event in flight travels with its receipt. Whoever holds an event durably, or has handed
//! it to someone who does, acknowledges it; a receipt that is dropped is a negative
//! acknowledgement. No room names another room's kinds: they meet in these types only.
//!
//! May import `event`, `fault` and `task`. Holds no client and does no I/O itself.

mod bus;
mod handout;
pub mod letter;
mod name;
mod receipt;
mod sink;
mod source;
mod store;

pub use bus::{
    Bus, Capability, Deduplicate, End, Ordering, Outgoing, Published, Read, Reader, Start, Subscriber, Subscription,
};
pub use handout::{Handout, Kept};
pub use name::{Group, InvalidName, Topic};
pub use receipt::{Poison, Position, Receipt, Received, Settle, Verdict};
pub use sink::{Accepted, Sink};
pub use source::{Entry, Outlet, Source, outlet};
pub use store::{Expect, Revision, Store, Stored, Write};

#[cfg(test)]
mod tests;
