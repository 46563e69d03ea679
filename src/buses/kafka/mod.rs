//! The Kafka bus: one topic of Kafka per topic, and Kafka's consumer groups.
//!
//! - [`cluster`]: the clients that everyone here shares, and what the brokers allow.
//! - [`topics`]: topics, made or taken as they are.
//! - [`publish`], [`message`]: events to messages in binary mode, with acknowledgement of all replicas.
//! - [`pool`]: the members of one group in this process, which share one member of Kafka's group.
//! - [`member`]: one of them, as its reader sees it.
//! - [`read`]: a partition, read apart from all groups; [`end`]: where it ends, and the brokers' time.
//! - [`delayed`]: events that wait in a topic beside the others until they are due.
//! - [`store`]: a compacted topic beside those of the events.
//!
//! A topic of the bus is the topic of Kafka with the same name. Kafka gives each partition to one member
//! of a group; the members of one process share what theirs is given, so that there may be more of
//! them than partitions. What was not acknowledged comes again from memory while this process lives,
//! and from Kafka otherwise: offsets are committed up to the first event that is not settled, with
//! what is settled behind it.
//!
//! An outage is waited out by readers; publishing fails after a few seconds, so that it may be tried
//! again. Without the feature `kafka` there are the settings alone, and no bus.

#[cfg(feature = "kafka")]
mod bus;
#[cfg(feature = "kafka")]
mod cluster;
pub mod config;
#[cfg(feature = "kafka")]
mod delayed;
#[cfg(feature = "kafka")]
mod end;
#[cfg(feature = "kafka")]
mod member;
#[cfg(feature = "kafka")]
mod message;
#[cfg(feature = "kafka")]
mod pool;
#[cfg(feature = "kafka")]
mod publish;
#[cfg(feature = "kafka")]
mod read;
#[cfg(feature = "kafka")]
mod store;
#[cfg(feature = "kafka")]
mod topics;

#[cfg(feature = "kafka")]
pub use bus::Kafka;

#[cfg(test)]
mod tests;
