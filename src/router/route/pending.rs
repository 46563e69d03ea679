//! Settings that are understood and checked, but that this version cannot run yet: each is reported
//! as not supported, by its field, once it is right in itself.

use crate::api::trigger::{CircuitBreakerSpec, ParameterSpec, RateLimitSpec, SubscriberSpec};
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
