//! The settings of one watch.

use crate::api::client::{self, Backoff};
use crate::api::event_source::KubernetesEvent;
use crate::api::metadata::{self, Key, Metadata, Shape};
use crate::api::{FieldPath, Problems, value};

/// The keys of a Component's metadata.
pub const KEYS: [Key; 13] = metadata::connected([
    ("apiVersion", Shape::Text),
    ("kind", Shape::Text),
    ("namespaces", Shape::List),
    ("allNamespaces", Shape::Flag),
    ("labelSelector", Shape::Text),
    ("fieldSelector", Shape::Text),
    ("events", Shape::List),
    ("object", Shape::Text),
]);

/// The longest name of a namespace (RFC 1123 label).
const MAX_NAMESPACE: usize = 63;

/// What is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub kind: String,
    pub scope: Scope,
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
    pub wanted: Wanted,
    /// Whether events carry the object's metadata alone.
    pub metadata_only: bool,
    pub backoff: Backoff,
}

/// Where objects are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Not empty, each once.
    These(Vec<String>),
    /// Where this runs: the namespace of the `EventSource`, or that of the client's configuration when it is not known.
    Own(Option<String>),
}

/// Which changes become events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub added: bool,
    pub modified: bool,
    pub deleted: bool,
}

impl Config {
    /// Reads the settings that stand at `path`; `namespace` is that of the `EventSource`.
    pub fn parse(raw: &KubernetesEvent, namespace: Option<&str>, path: &FieldPath, problems: &mut Problems) -> Self {
        let (group, version) = group_version(&raw.api_version, &path.field("apiVersion"), problems);
        if raw.kind.is_empty() || !raw.kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let message = format!("{:?} is not the kind of an object", raw.kind);
            problems.push_help(&path.field("kind"), message, "such as \"Deployment\"");
        }
        let objects = [("full", false), ("metadata", true)];
        let object = raw.object.as_deref();
        let metadata_only = object.and_then(|word| value::word(word, &objects, &path.field("object"), problems));
        if raw.common.json_body == Some(true) {
            problems.warn(&path.field("jsonBody"), "has no effect: objects are JSON");
        }
        client::lag_threshold(raw.common.scale_option.as_ref(), &path.field("scaleOption"), problems);
        let backoff_path = path.field("connectionBackoff");
        Self {
            group,
            version,
            kind: raw.kind.clone(),
            scope: scope(raw, namespace, path, problems),
            label_selector: selector(raw.label_selector.as_deref(), &path.field("labelSelector"), problems),
            field_selector: selector(raw.field_selector.as_deref(), &path.field("fieldSelector"), problems),
            wanted: wanted(raw.events.as_deref(), &path.field("events"), problems),
            metadata_only: metadata_only.unwrap_or_default(),
            backoff: Backoff::parse(raw.common.connection_backoff.as_ref(), &backoff_path, problems),
        }
    }

    /// Reads the metadata of a Component. `None` when a problem was found.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let raw = metadata::read(metadata, &KEYS, problems)?;
        let config = Self::parse(&raw, None, &metadata::path(), problems);
        (problems.len() == before).then_some(config)
    }

    /// Group and version, as people write them.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }
}

fn group_version(text: &str, path: &FieldPath, problems: &mut Problems) -> (String, String) {
    let (group, version) = text.split_once('/').map_or(("", text), |(group, version)| (group, version));
    let legal = |part: &str| {
        let byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        !part.is_empty() && part.bytes().all(byte)
    };
    if !legal(version) || (text.contains('/') && !legal(group)) {
        let message = format!("{text:?} is no version of an API");
        problems.push_help(path, message, "such as \"v1\" or \"apps/v1\"");
    }
    (group.to_owned(), version.to_owned())
}

fn scope(raw: &KubernetesEvent, namespace: Option<&str>, path: &FieldPath, problems: &mut Problems) -> Scope {
    let path = path.field("namespaces");
    let all = raw.all_namespaces == Some(true);
    let Some(names) = &raw.namespaces else {
        return if all { Scope::All } else { Scope::Own(namespace.map(str::to_owned)) };
    };
    if all {
        problems.push(&path, "excludes \"allNamespaces\"");
    }
    if names.is_empty() {
        problems.push_help(&path, "at least one is needed", "\"allNamespaces: true\" for all");
    }
    let mut these: Vec<String> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > MAX_NAMESPACE || !name.bytes().all(legal) {
            problems.push(&path.index(index), format!("{name:?} is not the name of a namespace"));
        } else if these.contains(name) {
            problems.push(&path.index(index), format!("{name:?} is there already"));
        }
        these.push(name.clone());
    }
    Scope::These(these)
}

/// The API server judges it; that it is empty is a slip.
fn selector(text: Option<&str>, path: &FieldPath, problems: &mut Problems) -> Option<String> {
    let text = text?;
    if text.trim().is_empty() {
        problems.push(path, "must not be empty");
    }
    Some(text.to_owned())
}

fn wanted(events: Option<&[String]>, path: &FieldPath, problems: &mut Problems) -> Wanted {
    let Some(events) = events else { return Wanted { added: true, modified: true, deleted: true } };
    if events.is_empty() {
        problems.push(path, "at least one is needed");
    }
    let mut wanted = Wanted { added: false, modified: false, deleted: false };
    let known = [("added", 0), ("modified", 1), ("deleted", 2)];
    for (index, word) in events.iter().enumerate() {
        match value::word(word, &known, &path.index(index), problems) {
            Some(0) => wanted.added = true,
            Some(1) => wanted.modified = true,
            Some(_) => wanted.deleted = true,
            None => {}
        }
    }
    wanted
}
