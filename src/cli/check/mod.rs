//! `penstock check`: everything that is wrong with documents, before anything runs.
//!
//! [`judge`] asks each room that will read a part of a document; what concerns several documents
//! (names that are missing, topics that meet) is judged here.

mod bus;
mod collision;
mod output;
mod source;
mod trigger;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::PathBuf;

use clap::Args;

pub use output::Format;

use super::documents::{self, Documents, Origin};
use super::report::Report;
use crate::api::event_source::EventSourceSpec;
use crate::api::{FieldPath, ObjectRef, Problems, Secrets, secret::Unresolved};
use crate::router::route::Trigger;
pub use bus::Access;
use bus::Buses;

/// Finds every mistake in YAML before anything runs: with file, line, field and what is known instead
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Exit codes: 0 all is right (warnings aside), 2 something is wrong, or there is nothing to check.

Examples:
  penstock check flow.yaml
  penstock check sources/ triggers/ --output json
  kustomize build . | penstock check -"
)]
pub struct Options {
    /// What to check: files, folders, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// How the result is printed
    #[arg(long, short, default_value = "text")]
    output: Format,
}

impl Options {
    /// The format, with colours when text goes to a terminal.
    pub fn format(&self, terminal: bool) -> Format {
        if self.output == Format::Text && terminal { Format::Coloured } else { self.output }
    }
}

/// Reads `paths`, judges them, and prints what was found to `out`; whether it is right. Where there
/// is nothing to check, it is not.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(paths: &[PathBuf], format: Format, stdin: &mut dyn Read, out: &mut dyn Write) -> anyhow::Result<bool> {
    let (documents, mut report) = documents::load(paths, stdin);
    judge(&documents, Access::Own, &Unresolved, &mut report);
    output::write(&documents, &report, format, out)?;
    // A pipeline that checks nothing by mistake must not pass.
    Ok(!report.has_errors() && !documents.is_empty())
}

/// Judges every document by itself and among the others.
pub fn judge(documents: &Documents, access: Access, secrets: &dyn Secrets, report: &mut Report) {
    let buses = Buses::judge(documents, access, secrets, report);
    let mut triggers = Vec::new();
    for document in &documents.sources {
        let direct = one(report, &document.origin, |problems| source::judge(document, &buses, secrets, problems));
        triggers.extend(direct);
    }
    for document in &documents.triggers {
        triggers.push(one(report, &document.origin, |problems| trigger::judge(document, documents, &buses, problems)));
    }
    let references: BTreeSet<&ObjectRef> = triggers.iter().flat_map(Trigger::references).collect();
    let is_used = |component: &&_| bus::is_named(component, documents) || trigger::is_named(component, &references);
    for component in documents.components.iter().filter(|component| !is_used(component)) {
        one(report, &component.origin, |problems| {
            let what = "ignored: no EventBus names this Component (spec.component.name), and no sink refers to it";
            problems.warn(&FieldPath::root(), what);
        });
    }
    webhooks::judge_together(documents, report);
    collision::judge(documents, &buses, report);
}

/// Every event of an `EventSource`, and the attributes that it sets.
pub fn events_with_attributes(spec: &EventSourceSpec) -> Vec<(&str, BTreeMap<String, String>)> {
    let events = source::events(spec).into_iter();
    events.map(|entry| (entry.event, entry.common.attributes.clone().unwrap_or_default())).collect()
}

fn one<T>(report: &mut Report, origin: &Origin, judge: impl FnOnce(&mut Problems) -> T) -> T {
    let mut problems = Problems::new();
    let result = judge(&mut problems);
    report.add(origin, problems);
    result
}

#[cfg(test)]
mod tests;
