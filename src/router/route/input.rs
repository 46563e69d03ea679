//! The named inputs of a Trigger, in any of their written forms.

use super::{BusDefaults, check};
use crate::api::trigger::{InputSpec, TriggerSpec};
use crate::api::{FieldPath, Problems, value};
use crate::router::filter::{Filter, Transform};

/// One named input.
#[derive(Clone, Debug)]
pub struct Input {
    /// The word used in conditions.
    pub name: String,
    /// Where its events are read from.
    pub topic: String,
    /// What changes the data of its events before the filter sees them.
    pub transform: Option<Transform>,
    pub filter: Filter,
}

/// An input as it was written, with the names that its form has for its fields.
struct Written {
    spec: InputSpec,
    path: FieldPath,
    name_path: FieldPath,
    source_field: &'static str,
    event_field: &'static str,
}

/// Reads `eventSources` (the proposal) and `inputs` (`OpenFunction`) into one list, in that order;
/// the map's in the order of their names.
pub(super) fn parse(
    spec: &TriggerSpec,
    namespace: &str,
    bus: &BusDefaults,
    path: &FieldPath,
    problems: &mut Problems,
) -> Vec<Input> {
    let mut inputs: Vec<Input> = Vec::new();
    for written in written(spec, path) {
        let name = &written.spec.name;
        if inputs.iter().any(|input| input.name == *name) {
            problems.push(&written.name_path, format!("{name:?} already names another input"));
        }
        inputs.push(Input::parse(&written, namespace, bus, problems));
    }
    if inputs.is_empty() {
        problems.push(path, "needs at least one input under \"eventSources\" or \"inputs\"");
    }
    inputs
}

/// The inputs as they were written, in their order: equal texts are equal inputs.
pub(super) fn texts(spec: &TriggerSpec) -> Vec<String> {
    // The specs came out of JSON or YAML, so they go back into it.
    let text = |written: Written| serde_json::to_string(&written.spec).unwrap_or_default();
    written(spec, &FieldPath::root()).into_iter().map(text).collect()
}

fn written(spec: &TriggerSpec, path: &FieldPath) -> Vec<Written> {
    let listed = spec.event_sources.iter().flatten().enumerate().map(|(index, spec)| {
        let path = path.field("eventSources").index(index);
        let name_path = path.field("name");
        Written { spec: spec.clone(), path, name_path, source_field: "eventSourceName", event_field: "eventName" }
    });
    let mapped = spec.inputs.iter().flatten().map(|(name, named)| {
        let path = path.field("inputs").field(name);
        let spec = InputSpec {
            name: name.clone(),
            event_source_name: named.event_source.clone(),
            event_name: named.event.clone(),
            namespace: named.namespace.clone(),
            ..InputSpec::default()
        };
        Written { spec, name_path: path.clone(), path, source_field: "eventSource", event_field: "event" }
    });
    listed.chain(mapped).collect()
}

impl Input {
    fn parse(written: &Written, namespace: &str, bus: &BusDefaults, problems: &mut Problems) -> Self {
        let Written { spec, path, .. } = written;
        check_name(&spec.name, &written.name_path, problems);
        check::filled(&spec.event_source_name, &path.field(written.source_field), problems);
        check::filled(&spec.event_name, &path.field(written.event_field), problems);
        if let Some(namespace) = &spec.namespace {
            check::label(namespace, &path.field("namespace"), problems);
        }
        let transform = spec.transform.as_ref();
        let transform = transform.and_then(|raw| Transform::compile(raw, &path.field("transform"), problems));
        let namespace = spec.namespace.as_deref().unwrap_or(namespace);
        Self {
            name: spec.name.clone(),
            topic: bus.topics.topic(namespace, &spec.event_source_name, &spec.event_name),
            transform,
            filter: filter(spec, path, problems),
        }
    }
}

fn filter(spec: &InputSpec, path: &FieldPath, problems: &mut Problems) -> Filter {
    let operator = spec.filters_logical_operator.as_deref();
    if let Some(filters) = &spec.filters {
        return Filter::compile(filters, operator, path, problems);
    }
    if let Some(operator) = operator {
        let path = path.field("filtersLogicalOperator");
        let known = [("and", ()), ("or", ())];
        if value::word(operator, &known, &path, problems).is_some() {
            problems.warn(&path, "has no effect without \"filters\"");
        }
    }
    Filter::pass()
}

/// Conditions must be able to say the name: a letter, digit or underscore, then dots and dashes too.
fn check_name(name: &str, path: &FieldPath, problems: &mut Problems) {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if matches!(name, "true" | "false") {
        problems.push(path, format!("an input must not be named {name:?}: conditions would read it as a constant"));
    } else if name.is_empty() || name.starts_with(['.', '-']) || !name.bytes().all(inner) {
        let help = "letters, digits, underscores, dots and dashes, not a dot or dash first";
        problems.push_help(path, format!("conditions cannot say the name {name:?}"), help);
    }
}
