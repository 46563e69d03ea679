//! Generated protobuf messages, and nothing else; lints are off here alone.
#![allow(clippy::all, clippy::pedantic, missing_docs)]

/// The CloudEvents protobuf format.
pub mod cloudevents {
    include!(concat!(env!("OUT_DIR"), "/io.cloudevents.v1.rs"));
}
