//! `penstock convert`: objects of Argo Events, Knative Eventing and `OpenFunction` into ours.
//!
//! A field is either converted or reported: [`fields::Fields`] hands members out, and whatever
//! nobody took is named at the end. What is printed is then judged by the rooms of
//! [`check`](super::check), so that nothing wrong is handed on in silence.

mod body;
mod fields;
mod folder;
mod knative;
mod openfunction;
mod sensor;
mod sources;

use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value as Json, json};

use super::documents::{self, Raw};
use super::report::Severity;
use super::{Outcome, check, crd};
use crate::api::FieldPath;
use crate::api::secret::Unresolved;
use body::Unwrapped;
use fields::{Fields, Notes, Weight};

/// The group and version of what is printed.
const OURS: &str = "events.openfunction.io/v1alpha1";
/// What can be converted, for refusals.
const KNOWN: &str = "argoproj.io Sensor, EventSource; eventing.knative.dev Trigger, Broker; \
                     events.openfunction.io EventSource, EventBus, ClusterEventBus, Trigger";

/// Turns YAML of Argo Events, Knative Eventing and OpenFunction v1alpha1 into YAML for penstock
#[expect(clippy::doc_markdown, reason = "the text is the help of the command")]
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "The result goes to standard output, or to a folder with --output; what has no equivalent or means something else is listed on
standard error, with its line.

Exit codes: 0 all is converted, 1 something was left out, 2 the input cannot be read.

Examples:
  penstock convert sensor.yaml > flow.yaml
  penstock convert argo/ --output flow/
  kubectl get sensors,eventsources -o yaml | penstock convert - | penstock check -"
)]
pub struct Options {
    /// What to convert: files, folders, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Exit with 1 also when something means something else than before
    #[arg(long)]
    strict: bool,

    /// Write a file for each object to this folder instead of everything to standard output. Nothing is written over
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Converts `paths` to `out` and tells `err` what is to know.
///
/// # Errors
/// When `out` or `err` cannot be written to.
pub fn run(
    options: &Options,
    stdin: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let (raws, report) = documents::read_raw(&options.paths, stdin);
    if report.has_errors() {
        report.write_lines(err, false)?;
        return Ok(Outcome::Refused);
    }
    if raws.is_empty() {
        writeln!(err, "nothing to convert; known: {KNOWN}")?;
        return Ok(Outcome::Refused);
    }
    let unwrapped = Unwrapped::of(&raws);
    let (mut text, mut objects) = (Vec::new(), Vec::new());
    let mut partly = false;
    for Raw { file, object, value, places } in raws {
        let mut notes = Notes::default();
        for object in convert(value, &unwrapped, &mut notes) {
            crd::write_document(&object, &mut text)?;
            objects.push(object);
        }
        for note in &notes.0 {
            let word = match note.weight {
                Weight::LeftOut => "left out",
                Weight::Changed => "changed",
            };
            partly |= note.weight == Weight::LeftOut || options.strict;
            let path = if note.path == FieldPath::root() { String::new() } else { format!("{}: ", note.path) };
            writeln!(err, "{file}:{}: {word}: {object}: {path}{}", places.of(&note.path), note.message)?;
        }
    }
    if let Some(folder) = &options.output {
        partly |= !folder::write(folder, &objects, err)?;
    } else {
        out.write_all(&text)?;
        out.flush()?;
    }
    let (documents, mut report) = documents::load(&["-".into()], &mut Cursor::new(text));
    check::judge(&documents, check::Access::Own, &Unresolved, &mut report);
    if report.has_errors() {
        writeln!(err, "what was printed must be repaired (penstock check says where):")?;
        for finding in report.findings() {
            if finding.severity == Severity::Error {
                writeln!(err, "  {}: {}: {}", finding.object, finding.path, finding.message)?;
            }
        }
        partly = true;
    }
    Ok(if partly { Outcome::Incomplete } else { Outcome::Done })
}

/// One object of another system as objects of ours.
fn convert(value: Json, unwrapped: &Unwrapped, notes: &mut Notes) -> Vec<Json> {
    let root = FieldPath::root();
    let mut object = Fields::new(value, root.clone(), notes);
    let version = object.text("apiVersion").unwrap_or_default();
    let kind = object.text("kind").unwrap_or_default();
    let metadata = object.take("metadata").unwrap_or_default();
    let spec = object.take("spec").unwrap_or_default();
    let fields = |notes: &mut Notes| Fields::new(spec.clone(), root.field("spec"), notes);
    let name = metadata["name"].as_str().unwrap_or_default();
    let namespace = metadata["namespace"].as_str().unwrap_or("default");
    let group = version.split('/').next().unwrap_or_default();
    let specs = match (group, kind.as_str()) {
        ("argoproj.io", "Sensor") => sensor::sensor(fields(notes), namespace, unwrapped, notes),
        ("argoproj.io", "EventSource") => sources::event_source(fields(notes), notes),
        ("eventing.knative.dev", "Trigger") => knative::trigger(fields(notes), notes),
        ("eventing.knative.dev", "Broker") => knative::broker(fields(notes), name, namespace, notes),
        ("events.openfunction.io", "EventSource") => vec![("EventSource", spec)],
        ("events.openfunction.io", "EventBus") => vec![("EventBus", spec)],
        ("events.openfunction.io", "ClusterEventBus") => vec![("ClusterEventBus", spec)],
        ("events.openfunction.io", "Trigger") => {
            let mut spec = spec;
            openfunction::trigger(&mut spec, &root.field("spec"), notes);
            vec![("Trigger", spec)]
        }
        _ => {
            notes.left_out(&root.field("kind"), format!("{version} {kind} cannot be converted; known: {KNOWN}"));
            return Vec::new();
        }
    };
    // What a cluster adds to an object says nothing about the next one.
    object.take("status");
    object.finish(notes);
    let metadata = kept(&metadata);
    let whole = |(kind, spec)| json!({"apiVersion": OURS, "kind": kind, "metadata": metadata, "spec": spec});
    specs.into_iter().map(whole).collect()
}

/// The metadata that a person wrote.
fn kept(metadata: &Json) -> Json {
    let mut kept = Map::new();
    for name in ["name", "namespace", "labels"] {
        if !metadata[name].is_null() {
            kept.insert(name.to_owned(), metadata[name].clone());
        }
    }
    Json::Object(kept)
}

#[cfg(test)]
mod tests;
