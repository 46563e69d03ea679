//! Changes of Kubernetes objects as events: of one kind of object, in some namespaces or all, chosen by selectors.
//!
//! - [`Config`]: what is watched, parsed. Pure.
//! - `message`: a change to its event. Pure.
//! - `link`: the client, the kind as the API server knows it, and what its answers mean.
//! - `mark`: how far a watch has come, kept in a `flow::Store` so that a restart knows.
//! - `known`: the objects that are there, to tell after a gap what has changed. Pure.
//! - `watch`: follows one watch, and hands its changes out in their order.
//! - [`Source`]: one watch for each namespace, or one for all.
//!
//! A watch begins when it runs for the first time: objects that are there already are no events. From then on it
//! goes on where it stopped, as long as the API server still has what happened since (minutes, by default). When
//! it has not (`410 Gone`), the objects are listed and compared: what was added or changed is an event in its last
//! state, and what this process knew and is gone is a `deleted` event without the object's content. What was
//! deleted while neither this process ran nor the API server remembers is not known to anybody.

pub mod config;
mod known;
mod link;
mod mark;
mod message;
mod source;
mod watch;

pub use config::Config;
pub use source::{Entry, Source};

/// What begins the `type` of a change; `.added`, `.modified` or `.deleted` follows.
pub const DEFAULT_TYPE: &str = "events.openfunction.io.kubernetes";

#[cfg(test)]
mod tests;
