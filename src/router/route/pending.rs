//! Settings that are understood and checked, but that this version cannot run yet: each is reported
//! as not supported, by its field, once it is right in itself.

use super::check;
use crate::api::trigger::{BatchSpec, CorrelateSpec, SubscriberSpec};
use crate::api::{FieldPath, Problems, value};

/// Calls `read` and reports the feature when it found nothing wrong.
fn pending(path: &FieldPath, feature: &str, problems: &mut Problems, read: impl FnOnce(&FieldPath, &mut Problems)) {
    let before = problems.len();
    read(path, problems);
    if problems.len() == before {
        problems.unsupported(path, feature);
    }
}

/// Everything of a subscriber that is not run yet. `names` are those of the inputs.
pub(super) fn subscriber(spec: &SubscriberSpec, names: &[&str], path: &FieldPath, problems: &mut Problems) {
    joins(spec, names, path, problems);
    if let Some(batch) = &spec.batch {
        pending(&path.field("batch"), "batching", problems, |path, problems| check_batch(batch, path, problems));
    }
}

/// Settings of conditions that join several events, and cannot be run yet.
fn joins(spec: &SubscriberSpec, names: &[&str], path: &FieldPath, problems: &mut Problems) {
    if let Some(correlate) = &spec.correlate {
        pending(&path.field("correlate"), "joining events by a key", problems, |path, problems| {
            check_correlate(correlate, names, path, problems);
        });
    }
}

fn check_correlate(spec: &CorrelateSpec, names: &[&str], path: &FieldPath, problems: &mut Problems) {
    let by = path.field("by");
    if spec.by.is_empty() {
        problems.push(&by, "must name the key of each input");
    }
    for (name, key) in &spec.by {
        known_input(name, names, &by.field(name), problems);
        check::filled(key, &by.field(name), problems);
    }
    if spec.max_keys == Some(0) {
        problems.push(&path.field("maxKeys"), "must be at least 1");
    }
}

fn check_batch(spec: &BatchSpec, path: &FieldPath, problems: &mut Problems) {
    if spec.count.is_none() && spec.within.is_none() {
        problems.push(path, "needs \"count\" or \"within\"");
    }
    if spec.count == Some(0) {
        problems.push(&path.field("count"), "must be at least 1");
    }
    if let Some(within) = &spec.within {
        value::positive_span(within, &path.field("within"), problems);
    }
}

fn known_input(name: &str, names: &[&str], path: &FieldPath, problems: &mut Problems) {
    if !names.contains(&name) {
        let help = crate::api::problem::alternatives(name, names);
        problems.push_help(path, format!("no input is named {name:?}"), help);
    }
}
