//! Judges webhooks: each by itself, those of one `EventSource` that share a port, and those of several
//! that would share it in one process.

use std::collections::BTreeMap;

use super::one;
use crate::api::event_source::{EventSourceSpec, HttpEvent, ServerTls};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problems, Secrets};
use crate::buses::embedded;
use crate::cli::documents::{Document, Documents};
use crate::cli::report::Report;
use crate::flow::letter;
use crate::sources::http::Config;

/// The kind, the event's name and the settings of every webhook, those that an object storage posts to
/// among them.
fn all(spec: &EventSourceSpec) -> impl Iterator<Item = (&'static str, &String, &HttpEvent)> {
    let http = spec.http.iter().flatten().map(|(event, raw)| ("http", event, raw));
    let posted = spec.s3.iter().flatten().filter(|(_, raw)| raw.mode == "webhook");
    http.chain(posted.map(|(event, raw)| ("s3", event, &raw.http)))
}

pub(super) fn judge(spec: &EventSourceSpec, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) {
    let mut paths: BTreeMap<(u16, String), &str> = BTreeMap::new();
    // References are compared: the secrets themselves may be elsewhere.
    let mut ports: BTreeMap<u16, (&str, Option<&ServerTls>)> = BTreeMap::new();
    for (kind, event, raw) in all(spec) {
        let path = path.field(kind).field(event);
        let Some(config) = Config::parse(raw, event, &path, secrets, problems) else { continue };
        judge_size(&config, &path, problems);
        let port = config.port;
        let (first, tls) = ports.entry(port).or_insert((event, raw.tls.as_ref()));
        if *tls != raw.tls.as_ref() {
            let message = format!("port {port} has one TLS setting, and that of {first:?} is another");
            problems.push(&path.field("tls"), message);
        }
        match paths.get(&(port, config.path.clone())) {
            Some(first) => {
                let message = format!("{first:?} has the path {} of port {port} already", config.path);
                problems.push(&path.field("path"), message);
            }
            None => drop(paths.insert((port, config.path), event)),
        }
    }
}

/// Judges whether the webhooks of different `EventSource`s go together on one machine. In a cluster
/// each `EventSource` has a pod, and so ports, of its own.
pub(super) fn judge_together(documents: &Documents, report: &mut Report) {
    let spec = FieldPath::root().field("spec");
    let mut paths: BTreeMap<(u16, String), &Document<EventSourceSpec>> = BTreeMap::new();
    let mut ports: BTreeMap<u16, (&Document<EventSourceSpec>, Option<&ServerTls>)> = BTreeMap::new();
    for document in &documents.sources {
        one(report, &document.origin, |problems| {
            let elsewhere = |first: &Document<_>| !std::ptr::eq(first, document);
            for (kind, event, raw) in all(&document.spec) {
                let at = spec.field(kind).field(event);
                // What is wrong with it alone was told before.
                let parsed = Config::parse(raw, event, &at, &Unresolved, &mut Problems::new());
                let Some(Config { port, path, .. }) = parsed else { continue };
                let (first, tls) = ports.entry(port).or_insert((document, raw.tls.as_ref()));
                if elsewhere(first) && *tls != raw.tls.as_ref() {
                    let message = format!("port {port} has another TLS setting in {}", first.origin.object);
                    problems.cluster_only(&at.field("tls"), message + APART);
                }
                let first = paths.entry((port, path)).or_insert(document);
                if elsewhere(first) {
                    let message = format!("{} has this path of port {port} already", first.origin.object);
                    problems.cluster_only(&at.field("path"), message + APART);
                }
            }
        });
    }
}

/// Why webhooks that meet on one machine are no mistake.
const APART: &str = "; only in a cluster each has ports of its own";

/// Warns of a body that is taken only to be refused: the bus that runs on one machine is smaller.
fn judge_size(config: &Config, path: &FieldPath, problems: &mut Problems) {
    let bus = embedded::config::Config::default().max_event_bytes;
    if config.max_body_bytes > bus - letter::HEADROOM {
        let message = format!("larger than the bus takes ({}Mi less {}Ki)", bus >> 20, letter::HEADROOM >> 10);
        problems.warn(&path.field("maxBodyBytes"), message);
    }
}
