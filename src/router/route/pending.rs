//! Settings that are understood and checked, but that this version cannot run yet: each is reported
//! as not supported, by its field, once it is right in itself.

use super::check;
use crate::api::trigger::{
    BatchSpec, CircuitBreakerSpec, ConditionsReset, CorrelateSpec, ParameterSpec, RateLimitSpec, SubscriberSpec,
};
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
    if let Some(parameters) = &spec.parameters {
        pending(&path.field("parameters"), "building the body from parameters", problems, |path, problems| {
            check_parameters(parameters, names, path, problems);
        });
    }
    if let Some(limit) = &spec.rate_limit {
        pending(&path.field("rateLimit"), "limiting the rate", problems, |path, problems| {
            check_rate_limit(limit, path, problems);
        });
    }
    if let Some(breaker) = &spec.circuit_breaker {
        pending(&path.field("circuitBreaker"), "a circuit breaker", problems, |path, problems| {
            check_circuit_breaker(breaker, path, problems);
        });
    }
    if spec.ordered == Some(true) {
        problems.unsupported(&path.field("ordered"), "ordered delivery");
    }
    if spec.reply == Some(true) {
        problems.unsupported(&path.field("reply"), "taking events from answers");
    }
}

/// Settings of conditions that join several events.
fn joins(spec: &SubscriberSpec, names: &[&str], path: &FieldPath, problems: &mut Problems) {
    if let Some(window) = &spec.window {
        pending(&path.field("window"), "a window", problems, |path, problems| {
            value::positive_span(window, path, problems);
        });
    }
    if let Some(window) = &spec.negation_window {
        pending(&path.field("negationWindow"), "a negation window", problems, |path, problems| {
            value::positive_span(window, path, problems);
        });
    }
    if let Some(hold) = &spec.hold {
        let path = path.field("hold");
        // Holding a match for no time is what happens without the setting.
        if value::span(hold, &path, problems).is_some_and(|hold| !hold.is_zero()) {
            problems.unsupported(&path, "holding a match");
        }
    }
    if let Some(resets) = &spec.conditions_reset {
        pending(&path.field("conditionsReset"), "forgetting held events by a schedule", problems, |path, problems| {
            check_resets(resets, path, problems);
        });
    }
    if let Some(correlate) = &spec.correlate {
        pending(&path.field("correlate"), "joining events by a key", problems, |path, problems| {
            check_correlate(correlate, names, path, problems);
        });
    }
    if let Some(payload) = &spec.payload {
        // One event fires what can be run today, and it is both all of them and the last.
        value::word(payload, &[("all", ()), ("last", ())], &path.field("payload"), problems);
    }
}

fn check_resets(resets: &[ConditionsReset], path: &FieldPath, problems: &mut Problems) {
    for (index, reset) in resets.iter().enumerate() {
        let path = path.index(index).field("byTime");
        let Some(by_time) = &reset.by_time else {
            problems.push(&path, "is missing");
            continue;
        };
        check_cron(&by_time.cron, &path.field("cron"), problems);
        if let Some(zone) = &by_time.timezone
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            let help = "an IANA name such as \"Europe/Berlin\"";
            problems.push_help(&path.field("timezone"), format!("{zone:?} is no time zone"), help);
        }
    }
}

/// Argo: five fields, no nicknames.
fn check_cron(cron: &str, path: &FieldPath, problems: &mut Problems) {
    use croner::parser::{CronParser, Seconds, Year};
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    if cron.trim_start().starts_with('@') || cron.split_whitespace().count() != 5 {
        problems.push(path, "must have five fields: minute, hour, day of month, month, day of week");
    } else if let Err(error) = parser.parse(cron) {
        problems.push(path, format!("{cron:?} is no schedule: {}", error.to_string().trim_end_matches('.')));
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

fn check_parameters(parameters: &[ParameterSpec], names: &[&str], path: &FieldPath, problems: &mut Problems) {
    let operations = ["overwrite", "append", "prepend"].map(|word| (word, ()));
    for (index, parameter) in parameters.iter().enumerate() {
        let path = path.index(index);
        let name = &parameter.src.dependency_name;
        known_input(name, names, &path.field("src").field("dependencyName"), problems);
        if let Some(operation) = parameter.operation.as_deref().filter(|operation| !operation.is_empty()) {
            value::word(operation, &operations, &path.field("operation"), problems);
        }
    }
}

fn check_rate_limit(spec: &RateLimitSpec, path: &FieldPath, problems: &mut Problems) {
    if let Some(unit) = &spec.unit {
        let units = ["Second", "Minute", "Hour"].map(|unit| (unit, ()));
        value::word(unit, &units, &path.field("unit"), problems);
    }
    if spec.requests_per_unit == 0 {
        problems.push(&path.field("requestsPerUnit"), "must be at least 1");
    }
}

fn check_circuit_breaker(spec: &CircuitBreakerSpec, path: &FieldPath, problems: &mut Problems) {
    if spec.consecutive_failures == Some(0) {
        problems.push(&path.field("consecutiveFailures"), "must be at least 1");
    }
    if let Some(open_for) = &spec.open_for {
        value::positive_span(open_for, &path.field("openFor"), problems);
    }
}

fn known_input(name: &str, names: &[&str], path: &FieldPath, problems: &mut Problems) {
    if !names.contains(&name) {
        let help = crate::api::problem::alternatives(name, names);
        problems.push_help(path, format!("no input is named {name:?}"), help);
    }
}
