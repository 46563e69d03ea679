//! The settings of one bucket's notifications. Those of the webhook itself are the webhook's.

pub use crate::api::Secret;
use crate::api::client::{self, Address, Backoff, Endpoint};
use crate::api::event_source::S3Event;
use crate::api::metadata::{Key, Metadata, Shape, Values};
use crate::api::{FieldPath, Problems, Secrets, metadata, secret, value};

/// The keys of a Component's metadata, beside those of a webhook.
pub const KEYS: [Key; 15] = metadata::connected([
    ("mode", Shape::Text),
    ("endpoint", Shape::Text),
    ("caCert", Shape::Secret),
    ("bucket", Shape::Text),
    ("region", Shape::Text),
    ("events", Shape::List),
    ("filter.prefix", Shape::Text),
    ("filter.suffix", Shape::Text),
    ("accessKey", Shape::Secret),
    ("secretKey", Shape::Secret),
]);

/// Schemes and their default ports; the second means TLS.
const SCHEMES: [(&str, u16); 2] = [("http", 80), ("https", 443)];
/// The region of those who have none.
const REGION: &str = "us-east-1";
/// What is listened to when nothing is said.
const CREATED: &str = "s3:ObjectCreated:*";
/// The longest name of a bucket, and the longest key of an object.
const MAX_BUCKET: usize = 63;
const MAX_KEY: usize = 1024;

/// One bucket's notifications, or those of all.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub selection: Selection,
    /// Of records that name none.
    pub region: Option<String>,
    pub mode: Mode,
}

/// How notifications come.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// The storage posts them.
    Webhook,
    /// They are listened to, over a connection to the storage.
    Listen(Box<Listen>),
}

/// Where `MinIO` is.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Absent only beside a problem.
    pub server: Option<Endpoint>,
    pub tls: bool,
    /// In PEM; the authorities of the system when absent.
    pub ca: Option<Secret>,
    pub region: String,
    /// Access key and secret key.
    pub login: Option<(Secret, Secret)>,
    pub backoff: Backoff,
}

/// Which notifications count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub bucket: Option<String>,
    /// Names such as `s3:ObjectCreated:Put`, which may end in `*`; every one counts when there are none.
    pub events: Vec<String>,
    pub prefix: String,
    pub suffix: String,
}

impl Selection {
    /// `event` is a name without `s3:`, and `key` the object's own, without escapes.
    pub fn takes(&self, bucket: &str, event: &str, key: &str) -> bool {
        let matches = |pattern: &String| {
            let pattern = pattern.strip_prefix("s3:").unwrap_or(pattern);
            pattern.strip_suffix('*').map_or(pattern == event, |start| event.starts_with(start))
        };
        self.bucket.as_ref().is_none_or(|wanted| wanted == bucket)
            && (self.events.is_empty() || self.events.iter().any(matches))
            && key.starts_with(&self.prefix)
            && key.ends_with(&self.suffix)
    }
}

impl Config {
    /// Reads the settings that stand at `path`.
    pub fn parse(raw: &S3Event, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let listens = value::word(&raw.mode, &[("webhook", false), ("listen", true)], &path.field("mode"), problems);
        judge_fields(raw, listens, path, problems);
        let mut selection = selection(raw, path, problems);
        let mode = match listens {
            Some(true) => {
                if selection.events.is_empty() {
                    selection.events.push(CREATED.to_owned());
                }
                Mode::Listen(Box::new(Listen::parse(raw, path, secrets, problems)))
            }
            Some(false) | None => Mode::Webhook,
        };
        client::lag_threshold(raw.http.common.scale_option.as_ref(), &path.field("scaleOption"), problems);
        Self { selection, region: raw.region.clone().filter(|region| !region.is_empty()), mode }
    }

    /// Reads the metadata of a Component, whose raw shape holds the webhook's settings, too. `None` when a
    /// problem was found.
    pub fn from_metadata(raw: &S3Event, metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let config = Self::parse(raw, &metadata::path(), &Values(metadata), problems);
        (problems.len() == before).then_some(config)
    }
}

/// Each mode has fields that mean nothing to the other.
fn judge_fields(raw: &S3Event, listens: Option<bool>, path: &FieldPath, problems: &mut Problems) {
    let http = &raw.http;
    let fields = [
        ("endpoint", raw.endpoint.is_some(), true),
        ("caCert", raw.ca_cert.is_some(), true),
        ("accessKey", raw.access_key.is_some(), true),
        ("secretKey", raw.secret_key.is_some(), true),
        ("path", http.path.is_some(), false),
        ("port", http.port.is_some(), false),
        ("methods", http.methods.is_some(), false),
        ("maxBodyBytes", http.max_body_bytes.is_some(), false),
        ("bearer", http.bearer.is_some(), false),
        ("signature", http.signature.is_some(), false),
        ("tls", http.tls.is_some(), false),
        ("response", http.response.is_some(), false),
    ];
    for (field, given, of_listen) in fields {
        if given && listens.is_some_and(|listens| listens != of_listen) {
            let mode = if of_listen { "listen" } else { "webhook" };
            problems.push(&path.field(field), format!("belongs to the mode {mode} only"));
        }
    }
}

fn selection(raw: &S3Event, path: &FieldPath, problems: &mut Problems) -> Selection {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if let Some(name) = &raw.bucket
        && (!(3..=MAX_BUCKET).contains(&name.len()) || !name.bytes().all(legal))
    {
        let help = format!("3 to {MAX_BUCKET} letters, digits, dashes, dots and underscores");
        problems.push_help(&path.field("bucket"), format!("{name:?} is not the name of a bucket"), help);
    }
    let events = raw.events.clone().unwrap_or_default();
    for (index, name) in events.iter().enumerate() {
        let known = name.strip_prefix("s3:").is_some_and(|name| {
            let plain = name.strip_suffix('*').unwrap_or(name);
            !name.is_empty() && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':')
        });
        if !known {
            let help = "such as \"s3:ObjectCreated:*\" or \"s3:ObjectRemoved:Delete\"";
            let message = format!("{name:?} is not the name of a notification");
            problems.push_help(&path.field("events").index(index), message, help);
        }
    }
    let filter = raw.filter.clone().unwrap_or_default();
    let mut part = |name: &str, text: Option<String>| {
        let text = text.unwrap_or_default();
        if text.len() > MAX_KEY {
            problems.push(&path.field("filter").field(name), format!("must be at most {MAX_KEY} bytes"));
        }
        text
    };
    let (prefix, suffix) = (part("prefix", filter.prefix), part("suffix", filter.suffix));
    Selection { bucket: raw.bucket.clone(), events, prefix, suffix }
}

impl Listen {
    fn parse(raw: &S3Event, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let address = if let Some(endpoint) = &raw.endpoint {
            client::address(endpoint, &SCHEMES, &path.field("endpoint"), problems)
        } else {
            problems.push_help(path, "needs \"endpoint\"", "such as \"http://minio.default:9000\"");
            Address::default()
        };
        let mut read = |name: &str, source: &Option<_>| {
            source.as_ref().map(|source| secret::read(source, &path.field(name), secrets, problems))
        };
        let (access_key, secret_key) = (read("accessKey", &raw.access_key), read("secretKey", &raw.secret_key));
        let (ca, tls) = (read("caCert", &raw.ca_cert), address.scheme == "https");
        if ca.is_some() && !tls && !address.scheme.is_empty() {
            problems.push(&path.field("endpoint"), "http:// has no TLS for \"caCert\": use https://");
        }
        let own = client::pair(access_key, secret_key, ("accessKey", "secretKey"), path, problems);
        let in_address = address.user.is_some() || address.password.is_some();
        if in_address {
            problems.push_help(&path.field("endpoint"), "must hold no login", "use accessKey and secretKey");
        }
        let backoff_path = path.field("connectionBackoff");
        let backoff = Backoff::parse(raw.http.common.connection_backoff.as_ref(), &backoff_path, problems);
        Self {
            tls,
            ca,
            server: address.endpoint,
            region: raw.region.clone().filter(|region| !region.is_empty()).unwrap_or_else(|| REGION.to_owned()),
            login: own,
            backoff,
        }
    }
}
