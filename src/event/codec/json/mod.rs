//! The `CloudEvents` JSON format 1.0.2.
//!
//! Reading: an attribute that is `null` is absent; a member that comes twice is refused, because
//! two readers could disagree on which one counts. `data` of a JSON content type is kept as the
//! text that was sent, not as a value that is written anew. Without `datacontenttype`, `data` is
//! JSON (section 3.1) and the event says so from then on, because other formats have no such default.
//!
//! Writing: text of a JSON content type that is JSON becomes `data` as it is; text of any other
//! content type becomes a string. Everything else becomes `data_base64`, so that a reader gets the
//! same bytes. (White space around a JSON value is the one thing that `data` does not keep.)

mod read;
mod write;

pub use read::{parse, parse_batch};
pub use write::{write, write_batch, write_encoded};

/// Whether `text` is one JSON value.
pub fn is_value(text: &str) -> bool {
    check(text).is_ok()
}

/// As [`is_value`], with the reason why not.
///
/// # Errors
/// What is wrong, and where.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ())
}

#[cfg(test)]
mod tests;
