//! What documents come to behind Dapr: the Components that daprd loads, and the plans of the workloads
//! beside it. `penstock run --dapr` writes them into files, the operator into a cluster.
//!
//! - [`source`] and [`bus`]: one event of an `EventSource`, or a bus, as a [`Component`].
//! - [`feed`], [`intake_plan`], [`router_plan`]: what `penstock intake` and `penstock router` read.
//!
//! Pure: no clock, no client. What has no place in a Component is reported, never left out. Imports `api`
//! and the configs of the kinds.

mod bus;
mod component;
mod foreign;
mod plan;
mod source;

pub use bus::{back_end, bus, state};
pub use component::{Component, Setting, kind};
pub use foreign::{CONSUMER, described, judge as judge_foreign, target};
pub use plan::{EventBus, Feed, Router, direct, feed, intake_plan, object, router_plan, without_nulls};
pub use source::{Event, STATE_BUS, events, source};

use serde_json::{Map, Value as Json};

use crate::api::metadata::{self, Key, Written};
use crate::api::{FieldPath, Problems};

/// What stands in a Component in the place of a secret: asked with the key and what the YAML says there.
pub type Secrets<'a> = dyn FnMut(&str, Json) -> Result<Setting, String> + 'a;

/// What daprd replaces in the values of a Component, wherever it stands.
const TEMPLATES: [&str; 4] = ["{uuid}", "{podName}", "{namespace}", "{appID}"];

/// Writes the settings of the YAML that stand at `path` as keys of a Component. Settings that are no keys
/// are reported, but for those in `elsewhere`, which count somewhere else.
fn write(
    component: &mut Component,
    settings: &Map<String, Json>,
    keys: &[Key],
    elsewhere: &[&str],
    secrets: &mut Secrets<'_>,
    (path, problems): (&FieldPath, &mut Problems),
) {
    let (written, left) = metadata::write(settings, keys);
    // A field with dots is a part of the one before the first dot.
    let counts_elsewhere = |field: &str| elsewhere.contains(&field.split('.').next().unwrap_or(field));
    for field in left.iter().filter(|field| !counts_elsewhere(field)) {
        problems.push(&below(path, field), "cannot be said to a component, so it does not count behind Dapr");
    }
    for (key, written) in written {
        let setting = match written {
            Written::Value(value) => untouched(value).map(Setting::Value),
            Written::Secret(source) => secrets(key, source),
        };
        match setting {
            Ok(setting) => component.set(key, setting),
            Err(reason) => problems.push(&below(path, key), reason),
        }
    }
}

/// Settings of Kafka's client library: each is a key of its own.
fn client_settings(
    component: &mut Component,
    settings: &mut Map<String, Json>,
    path: &FieldPath,
    problems: &mut Problems,
) {
    let Some(Json::Object(client)) = settings.remove("config") else { return };
    for (name, value) in client {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match untouched(text) {
            Ok(text) => component.set(&format!("config.{name}"), Setting::Value(text)),
            Err(reason) => problems.push(&path.field("config").field(&name), reason),
        }
    }
}

/// Whether a text is an address, or several, with a user or a password in it.
pub fn holds_login(text: &str) -> bool {
    text.split(',').any(|part| part.split_once("://").is_some_and(|(_, rest)| rest.contains('@')))
}

/// Refuses a value that daprd would change.
///
/// # Errors
/// Which part of it.
pub fn untouched(value: String) -> Result<String, String> {
    match TEMPLATES.iter().find(|template| value.contains(**template)) {
        Some(template) => Err(format!("daprd would put something else in the place of {template}")),
        None => Ok(value),
    }
}

/// The field that a key with dots is.
fn below(path: &FieldPath, key: &str) -> FieldPath {
    key.split('.').fold(path.clone(), |path, field| path.field(field))
}
