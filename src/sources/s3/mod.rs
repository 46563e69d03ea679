//! Notifications of object storage: AWS S3's, and those of `MinIO` and others that speak its language.
//!
//! - [`Config`]: which notifications count and how they come, parsed.
//! - `record`: notifications to events, one for each record. Pure.
//! - `sign`: signs requests (AWS Signature Version 4). Pure.
//! - `listen`: one connection to `MinIO`'s listen API.
//! - [`Source`]: hands out what is heard there.
//!
//! In the mode `webhook` the storage posts to a webhook, which makes events of a body with [`posted`]; it is
//! answered 2xx only after the bus has them. In the mode `listen` a connection to the storage is kept open.
//! The storage keeps nothing for it: at most once, and what happens while there is no connection is lost.

pub mod config;
mod listen;
mod record;
mod sign;
mod source;

pub use config::Config;
pub use record::posted;
pub use source::{Entry, Source};

/// The `type` of events begins with it.
pub const TYPE_PREFIX: &str = "com.amazonaws.s3.";

#[cfg(test)]
mod tests;
