//! The wrapping that Argo's sources put around what they receive: `{body, header, ...}`. Here the body itself is the data.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::fields::Notes;
use crate::api::FieldPath;
use crate::cli::documents::Raw;

/// The `EventSources` that are converted too, by namespace and name: their events come without the wrapping.
#[derive(Debug, Default)]
pub struct Unwrapped(BTreeSet<(String, String)>);

impl Unwrapped {
    pub fn of(raws: &[Raw]) -> Self {
        let is_argo = |raw: &&Raw| {
            let group = raw.value["apiVersion"].as_str().unwrap_or_default().split('/').next();
            group == Some("argoproj.io") && raw.value["kind"] == "EventSource"
        };
        let name = |raw: &Raw| {
            let metadata = &raw.value["metadata"];
            let namespace = metadata["namespace"].as_str().unwrap_or("default");
            (namespace.to_owned(), metadata["name"].as_str().unwrap_or_default().to_owned())
        };
        Self(raws.iter().filter(is_argo).map(name).collect())
    }

    pub fn has(&self, namespace: &str, name: &str) -> bool {
        self.0.contains(&(namespace.to_owned(), name.to_owned()))
    }
}

/// Takes the wrapping off a path, when the events come from a source that has none; says so, or what is to do.
pub fn unwrap_path(written: &mut Json, unwrapped: bool, at: &FieldPath, notes: &mut Notes) {
    let Some(path) = written.as_str() else { return };
    let (first, rest) = path.split_at(path.find(['.', '|']).unwrap_or(path.len()));
    match first {
        "body" if unwrapped => {
            let bare = if rest.is_empty() { "@this" } else { &rest[1..] };
            notes.changed(
                at,
                format!("{path:?} is {bare:?} now: the body itself is the data of a converted EventSource"),
            );
            *written = bare.into();
        }
        "body" => notes.changed(
            at,
            "Argo's sources wrap what they receive in {body, header, ...}; here the body itself is the data: \
             drop \"body.\" when the events come from a source of ours",
        ),
        "header" | "headers" => {
            notes.changed(at, "headers are not among the data here: compare attributes of the event instead");
        }
        _ => {}
    }
}

/// Scripts and templates are kept as they are.
pub fn judge_program(written: &Json, at: &FieldPath, notes: &mut Notes) {
    let text = written.as_str().unwrap_or_default();
    if ["event.body", ".Input.body", ".body."].iter().any(|wrapped| text.contains(wrapped)) {
        notes.changed(
            at,
            "it reads the wrapping of Argo's sources; here the body itself is the data: take \"body\" out",
        );
    }
}
