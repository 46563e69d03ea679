//! The settings of one NATS subject.

use crate::api::client::nats::Fields;
pub use crate::api::client::nats::{Access, Login};
use crate::api::client::{self, Backoff};
use crate::api::event_source::{NatsEvent, NatsStreamSpec};
use crate::api::metadata::{self, Key, Metadata, Shape, Values};
use crate::api::{FieldPath, Problems, Secrets, value};

/// The keys of a Component's metadata.
pub const KEYS: [Key; 21] = metadata::connected([
    ("url", Shape::Text),
    ("subject", Shape::Text),
    ("queueGroup", Shape::Text),
    ("jetstream.stream", Shape::Text),
    ("jetstream.durable", Shape::Text),
    ("jetstream.deliverPolicy", Shape::Text),
    ("user", Shape::Secret),
    ("password", Shape::Secret),
    ("token", Shape::Secret),
    ("credentials", Shape::Secret),
    ("nkey", Shape::Secret),
    ("tls.ca", Shape::Secret),
    ("tls.cert", Shape::Secret),
    ("tls.key", Shape::Secret),
    ("tls.insecureSkipVerify", Shape::Flag),
    ("jsonBody", Shape::Flag),
]);

/// The longest name of a stream or a consumer that the server takes.
const MAX_NAME: usize = 255;

/// One subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub access: Access,
    /// May hold wildcards.
    pub subject: String,
    pub reading: Reading,
    pub json_body: bool,
    pub backoff: Backoff,
}

/// How the subject is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A subscription; one of a queue group is given each message.
    Core { queue_group: Option<String> },
    /// From a stream that keeps it.
    Stream {
        stream: String,
        /// Named after the event when absent.
        durable: Option<String>,
        start: Start,
    },
}

/// Where a consumer that is not there yet starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    All,
    New,
    /// At the last message.
    Last,
}

impl Config {
    /// Reads the settings that stand at `path`.
    pub fn parse(raw: &NatsEvent, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let fields = Fields {
            user: raw.user.as_ref(),
            password: raw.password.as_ref(),
            token: raw.token.as_ref(),
            credentials: raw.credentials.as_ref(),
            nkey: raw.nkey.as_ref(),
            tls: raw.tls.as_ref(),
        };
        let access = Access::at(&raw.url, &path.field("url"), problems).with(fields, path, secrets, problems);
        judge_subject(&raw.subject, &path.field("subject"), problems);
        let reading = match &raw.jetstream {
            None => Reading::Core { queue_group: queue_group(raw, &path.field("queueGroup"), problems) },
            Some(stream) => {
                if raw.queue_group.is_some() {
                    let help = "processes that name one jetstream.durable share its messages";
                    problems.push_help(&path.field("queueGroup"), "belongs to core subjects", help);
                }
                Reading::parse(stream, &path.field("jetstream"), problems)
            }
        };
        client::lag_threshold(raw.common.scale_option.as_ref(), &path.field("scaleOption"), problems);
        let backoff_path = path.field("connectionBackoff");
        Self {
            access,
            subject: raw.subject.clone(),
            reading,
            json_body: raw.common.json_body == Some(true),
            backoff: Backoff::parse(raw.common.connection_backoff.as_ref(), &backoff_path, problems),
        }
    }

    /// Reads the metadata of a Component. `None` when a problem was found.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let raw = metadata::read(metadata, &KEYS, problems)?;
        let config = Self::parse(&raw, &metadata::path(), &Values(metadata), problems);
        (problems.len() == before).then_some(config)
    }
}

impl Reading {
    fn parse(raw: &NatsStreamSpec, path: &FieldPath, problems: &mut Problems) -> Self {
        let known = [("all", Start::All), ("new", Start::New), ("last", Start::Last)];
        let start = raw.deliver_policy.as_deref();
        let start = start.and_then(|word| value::word(word, &known, &path.field("deliverPolicy"), problems));
        let durable = raw.durable.as_deref().map(|name| self::name(name, &path.field("durable"), problems));
        Self::Stream {
            stream: name(&raw.stream, &path.field("stream"), problems),
            durable,
            start: start.unwrap_or_default(),
        }
    }
}

/// Parts with dots between them; `*` stands for one part, a last `>` for all that follow.
fn judge_subject(subject: &str, path: &FieldPath, problems: &mut Problems) {
    let parts: Vec<&str> = subject.split('.').collect();
    let lasts = parts.len() - 1;
    let legal = |(index, part): (usize, &&str)| match *part {
        "" => false,
        "*" => true,
        ">" => index == lasts,
        part => !part.contains(|c: char| c.is_whitespace() || c.is_control()),
    };
    if !parts.iter().enumerate().all(legal) {
        let help = "parts with dots between them; * is one part, > at the end all that follow";
        problems.push_help(path, format!("{subject:?} is not a subject"), help);
    }
}

fn queue_group(raw: &NatsEvent, path: &FieldPath, problems: &mut Problems) -> Option<String> {
    let group = raw.queue_group.as_deref()?;
    if group.is_empty() || group.contains(|c: char| c.is_whitespace() || c.is_control()) {
        problems.push(path, format!("{group:?} must be a name without spaces"));
    }
    Some(group.to_owned())
}

/// The name of a stream or a consumer, as the server takes it.
fn name(name: &str, path: &FieldPath, problems: &mut Problems) -> String {
    let illegal = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\');
    if name.is_empty() || name.len() > MAX_NAME || name.contains(illegal) {
        let help = format!("1 to {MAX_NAME} characters without spaces, dots, slashes, * and >");
        problems.push_help(path, format!("{name:?} is not the name of a stream or a consumer"), help);
    }
    name.to_owned()
}
