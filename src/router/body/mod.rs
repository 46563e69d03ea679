//! The body that `parameters` build: values of the events of a match, each put to its place in a JSON document.
//!
//! Compiled once when a Trigger is read, then pure: an event in, the same event with other data out. What is parked, and what
//! becomes a dead letter, is the event before that, so that nothing of it is lost and a replay builds its body anew.

mod document;
mod source;
mod view;

use crate::api::trigger::ParameterSpec;
use crate::api::{FieldPath, Problems, problem, value};
use crate::event::{Data, Event};
use crate::router::filter::json;

use document::{Node, Place};
use source::{Source, Value};
use view::View;

/// The most parameters of one subscriber.
const MAX_PARAMETERS: usize = 256;

/// The largest body, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// The `type` of an event that was made of several: its data has them under the names of their inputs.
pub const JOINED_TYPE: &str = "events.openfunction.io.joined";

/// The `type` of an event that holds several matches: its data is a list of them.
pub const BATCH_TYPE: &str = "events.openfunction.io.batch";

/// Which events of an input a parameter sees that a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// All of them, as a list.
    All,
    /// The one that came last.
    Last,
}

/// What builds the body of a subscriber's events.
#[derive(Clone, Debug)]
pub struct Body {
    parameters: Vec<Parameter>,
    /// The name of the Trigger's only input, when it has but one.
    only: Option<String>,
    /// Whether it builds of batches, whose matches all have the form of joined ones.
    gathered: Option<Gathered>,
}

#[derive(Clone, Debug)]
struct Parameter {
    source: Source,
    place: Place,
    operation: Operation,
}

/// What becomes of the value that stands at the place already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Overwrite,
    Append,
    Prepend,
}

impl Body {
    /// Compiles the parameters at `path` of a Trigger whose inputs have these names; nothing when there are none.
    /// Everything wrong goes to `problems`.
    pub fn compile(specs: &[ParameterSpec], names: &[&str], path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        if specs.len() > MAX_PARAMETERS {
            problems.push(path, format!("must be at most {MAX_PARAMETERS}, not {}", specs.len()));
        }
        let mut parameters = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let path = path.index(index);
            let name = spec.src.dependency_name.as_str();
            if !names.contains(&name) {
                let help = problem::alternatives(name, names);
                let path = path.field("src").field("dependencyName");
                problems.push_help(&path, format!("no input is named {name:?}"), help);
            }
            let source = Source::compile(&spec.src, &path.field("src"), problems);
            let place = Place::parse(&spec.dest, &path.field("dest"), problems);
            if spec.dest.is_empty() && specs.len() > 1 {
                let help = "an empty dest makes its value the whole body: it stands alone";
                problems.push_help(&path.field("dest"), "must not be empty beside other parameters", help);
            }
            let known =
                [("overwrite", Operation::Overwrite), ("append", Operation::Append), ("prepend", Operation::Prepend)];
            let word = spec.operation.as_deref().filter(|word| !word.is_empty()).unwrap_or("overwrite");
            let operation = value::word(word, &known, &path.field("operation"), problems);
            if let (Some(source), Some(place), Some(operation)) = (source, place, operation) {
                parameters.push(Parameter { source, place, operation });
            }
        }
        let only = if let [name] = names { Some((*name).to_owned()) } else { None };
        (!specs.is_empty()).then_some(Self { parameters, only, gathered: None })
    }

    /// The same for batches.
    #[must_use]
    pub fn of_batches(self, gathered: Gathered) -> Self {
        Self { gathered: Some(gathered), ..self }
    }

    /// The event with the body that is built of it. `input` is the name of the input that accepted it; without one the
    /// data of the event maps such names to the events of a match, as joins make it, or is a list of such matches.
    ///
    /// # Errors
    /// Which parameter has no value, or that the body is too large.
    pub fn build(&self, event: &Event, input: Option<&str>) -> Result<Event, String> {
        let view = View::new(event, input.or(self.only.as_deref()), self.gathered)?;
        let mut document: Option<Node> = None;
        for (index, Parameter { source, place, operation }) in self.parameters.iter().enumerate() {
            let found = source.find(&view).map_err(|why| format!("parameters[{index}]: {why}"))?;
            let Some(found) = found else { continue };
            let value = combine(found, document.as_ref().and_then(|document| document.get(place)), *operation);
            if place.is_whole() {
                return finish(event, value);
            }
            let value = match value {
                Value::Text(text) => Node::text(&text),
                Value::Json(raw) => Node::Raw(raw),
            };
            let document = document.get_or_insert_with(|| Node::Object(Vec::new()));
            document.set(place, value).map_err(|why| format!("parameters[{index}]: {why}"))?;
        }
        let mut text = String::new();
        document.unwrap_or_else(|| Node::Object(Vec::new())).write(&mut text);
        finish(event, Value::Json(text))
    }
}

/// The value to set, with what stands there already where it is to be kept.
fn combine(value: Value, there: Option<String>, operation: Operation) -> Value {
    let Some(there) = there.filter(|_| operation != Operation::Overwrite) else { return value };
    let text = value.into_text();
    Value::Text(if operation == Operation::Append { there + &text } else { text + &there })
}

/// The event with this body. A text that is JSON is sent as such.
fn finish(event: &Event, body: Value) -> Result<Event, String> {
    let (text, content_type) = match body {
        Value::Json(text) => (text, "application/json"),
        Value::Text(text) if json::check(&text).is_ok() => (text, "application/json"),
        Value::Text(text) => (text, "text/plain; charset=utf-8"),
    };
    if text.len() > MAX_BODY {
        return Err(format!("the body has {} bytes, and at most {MAX_BODY} are built", text.len()));
    }
    let draft = event.draft().without("dataschema").with("datacontenttype", content_type).data(Data::Text(&text));
    draft.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
