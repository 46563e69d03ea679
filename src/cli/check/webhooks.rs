//! Judges the webhooks of one `EventSource`, each by itself and those of one port together.

use std::collections::BTreeMap;

use crate::api::event_source::{HttpEvent, ServerTls};
use crate::api::{FieldPath, Problems, Secrets};
use crate::buses::embedded;
use crate::flow::letter;
use crate::sources::http::Config;

pub(super) fn judge<'a>(
    events: impl Iterator<Item = (&'a String, &'a HttpEvent)>,
    path: &FieldPath,
    secrets: &dyn Secrets,
    problems: &mut Problems,
) {
    let mut paths: BTreeMap<(u16, String), &str> = BTreeMap::new();
    // References are compared: the secrets themselves may be elsewhere.
    let mut ports: BTreeMap<u16, (&str, Option<&ServerTls>)> = BTreeMap::new();
    for (event, raw) in events {
        let path = path.field(event);
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

/// Warns of a body that is taken only to be refused: the bus that runs on one machine is smaller.
fn judge_size(config: &Config, path: &FieldPath, problems: &mut Problems) {
    let bus = embedded::config::Config::default().max_event_bytes;
    if config.max_body_bytes > bus - letter::HEADROOM {
        let message = format!("larger than the bus takes ({}Mi less {}Ki)", bus >> 20, letter::HEADROOM >> 10);
        problems.warn(&path.field("maxBodyBytes"), message);
    }
}
