//! The checks that the parsers of this room share. Each reports what is wrong at its path.

use crate::api::{FieldPath, Problems};

/// The longest name of a Kubernetes object that becomes a label (RFC 1123 label).
const MAX_LABEL: usize = 63;
/// The longest name of any Kubernetes object (RFC 1123 subdomain).
const MAX_OBJECT_NAME: usize = 253;

/// A number within bounds, both included.
pub(super) fn bounded(number: u32, least: u32, most: u32, path: &FieldPath, problems: &mut Problems) -> Option<u32> {
    if (least..=most).contains(&number) {
        return Some(number);
    }
    problems.push(path, format!("must be {least} to {most}, not {number}"));
    None
}

/// Whether the text says anything.
pub(super) fn filled(text: &str, path: &FieldPath, problems: &mut Problems) -> bool {
    if text.trim().is_empty() {
        problems.push(path, "must not be empty");
    }
    !text.trim().is_empty()
}

/// Whether Kubernetes takes it as the name of an object (RFC 1123 subdomain).
pub(super) fn object_name(text: &str, path: &FieldPath, problems: &mut Problems) -> bool {
    let legal = text.len() <= MAX_OBJECT_NAME && text.split('.').all(part_is_legal);
    if !legal {
        let message = format!("{text:?} cannot name an object: lower case letters, digits, dashes and dots");
        problems.push(path, message);
    }
    legal
}

/// Whether Kubernetes takes it as a label: the name of a namespace, and of a subscriber.
pub(super) fn label(text: &str, path: &FieldPath, problems: &mut Problems) -> bool {
    let legal = text.len() <= MAX_LABEL && part_is_legal(text);
    if !legal {
        let message = format!("{text:?} must be 1 to {MAX_LABEL} lower case letters, digits and inner dashes");
        problems.push(path, message);
    }
    legal
}

fn part_is_legal(part: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(legal)
}
