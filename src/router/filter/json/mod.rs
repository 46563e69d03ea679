//! JSON as text: checked once per event, then read in place without building a tree.
//!
//! [`check`] is strict (RFC 8259); everything else trusts what it has passed and only finds the
//! ends of values. A value is its raw token, a slice of the payload.

mod check;
mod scan;
mod value;

pub use check::{Invalid, check};
pub use scan::{elements, key_end, members, skip_space, string_end, token, value_end};
pub use value::{Kind, number, number_of_text, quote, text, truth, unescape};

#[cfg(test)]
mod tests;
