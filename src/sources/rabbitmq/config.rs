//! The settings of one queue.

pub use crate::api::Secret;
use crate::api::client::{self, Address, Backoff, Endpoint, Tls};
use crate::api::event_source::{RabbitmqEvent, RabbitmqExchange};
use crate::api::metadata::{self, Key, Metadata, Shape, Values};
use crate::api::{FieldPath, Problems, Secrets, secret, value};

/// The keys of a Component's metadata.
pub const KEYS: [Key; 20] = metadata::connected([
    ("url", Shape::Text),
    ("queue", Shape::Text),
    ("exchange.name", Shape::Text),
    ("exchange.type", Shape::Text),
    ("exchange.routingKeys", Shape::List),
    ("exchange.durable", Shape::Flag),
    ("prefetch", Shape::Number),
    ("declare", Shape::Flag),
    ("username", Shape::Secret),
    ("password", Shape::Secret),
    ("tls.ca", Shape::Secret),
    ("tls.cert", Shape::Secret),
    ("tls.key", Shape::Secret),
    ("tls.insecureSkipVerify", Shape::Flag),
    ("jsonBody", Shape::Flag),
]);

/// Schemes and their default ports; the second means TLS.
const SCHEMES: [(&str, u16); 2] = [("amqp", 5672), ("amqps", 5671)];
/// Messages in flight when the settings name no number.
const PREFETCH: u16 = 64;
/// The longest name and routing key (AMQP 0-9-1, 4.2.5.3).
const MAX_NAME: usize = 255;

/// One queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Absent only beside a problem.
    pub broker: Option<Endpoint>,
    pub vhost: String,
    pub tls: Option<Tls>,
    /// `guest` and `guest`, which `RabbitMQ` takes from its own machine only, when absent.
    pub login: Option<(Secret, Secret)>,
    /// Named after the event when absent; then there is an exchange.
    pub queue: Option<String>,
    pub exchange: Option<Exchange>,
    /// Messages in flight.
    pub prefetch: u16,
    /// Whether queue and exchange are made where they are missing.
    pub declare: bool,
    pub json_body: bool,
    pub backoff: Backoff,
}

/// An exchange that the queue is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub name: String,
    pub kind: ExchangeKind,
    /// At least one; the empty one where the kind has no use for any.
    pub routing_keys: Vec<String>,
    pub durable: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExchangeKind {
    Direct,
    #[default]
    Topic,
    Fanout,
    Headers,
}

impl Config {
    /// Reads the settings that stand at `path`.
    pub fn parse(raw: &RabbitmqEvent, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let (url, vhost) = split(&raw.url);
        let address = client::address(&url, &SCHEMES, &path.field("url"), problems);
        let queue = raw.queue.as_ref().map(|name| self::name(name, &path.field("queue"), problems));
        let exchange = raw.exchange.as_ref().map(|raw| Exchange::parse(raw, &path.field("exchange"), problems));
        if queue.is_none() && exchange.is_none() {
            problems.push(path, "needs \"queue\" or \"exchange\"");
        }
        if queue.is_none() && raw.declare == Some(false) {
            problems.push(&path.field("declare"), "without it, \"queue\" must name one that is there");
        }
        if raw.prefetch == Some(0) {
            problems.push(&path.field("prefetch"), "must be at least 1");
        }
        let backoff_path = path.field("connectionBackoff");
        let backoff = Backoff::parse(raw.common.connection_backoff.as_ref(), &backoff_path, problems);
        client::lag_threshold(raw.common.scale_option.as_ref(), &path.field("scaleOption"), problems);
        Self {
            vhost,
            tls: tls(raw, &address, path, secrets, problems),
            login: login(raw, &address, path, secrets, problems),
            broker: address.endpoint,
            queue,
            exchange,
            prefetch: raw.prefetch.unwrap_or(PREFETCH),
            declare: raw.declare != Some(false),
            json_body: raw.common.json_body == Some(true),
            backoff,
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

/// The address without its path, and the virtual host that the path names (`RabbitMQ` URI
/// specification). An empty path means `/`, as people expect, and not the host without a name.
fn split(url: &str) -> (String, String) {
    let start = url.find("://").map_or(0, |at| at + 3);
    match url.get(start..).and_then(|rest| rest.find('/')) {
        Some(at) if url.len() > start + at + 1 => {
            (url[..start + at].to_owned(), client::percent_decode(&url[start + at + 1..]))
        }
        Some(at) => (url[..start + at].to_owned(), "/".to_owned()),
        None => (url.to_owned(), "/".to_owned()),
    }
}

fn name(text: &str, path: &FieldPath, problems: &mut Problems) -> String {
    if text.is_empty() || text.len() > MAX_NAME {
        problems.push(path, format!("must have 1 to {MAX_NAME} bytes"));
    }
    text.to_owned()
}

impl Exchange {
    fn parse(raw: &RabbitmqExchange, path: &FieldPath, problems: &mut Problems) -> Self {
        let kinds = [
            ("direct", ExchangeKind::Direct),
            ("topic", ExchangeKind::Topic),
            ("fanout", ExchangeKind::Fanout),
            ("headers", ExchangeKind::Headers),
        ];
        let kind = raw.kind.as_deref().and_then(|word| value::word(word, &kinds, &path.field("type"), problems));
        let kind = kind.unwrap_or_default();
        let keys = raw.routing_keys.clone().unwrap_or_default();
        let at = path.field("routingKeys");
        let routing_keys = match kind {
            ExchangeKind::Fanout | ExchangeKind::Headers => {
                if !keys.is_empty() {
                    problems.push(&at, "has no meaning for an exchange of this type");
                }
                vec![String::new()]
            }
            ExchangeKind::Topic if keys.is_empty() => vec!["#".to_owned()],
            ExchangeKind::Direct if keys.is_empty() => {
                problems.push(&at, "a direct exchange needs at least one");
                keys
            }
            ExchangeKind::Direct | ExchangeKind::Topic => {
                if keys.iter().any(|key| key.len() > MAX_NAME) {
                    problems.push(&at, format!("must have at most {MAX_NAME} bytes each"));
                }
                keys
            }
        };
        Self {
            name: name(&raw.name, &path.field("name"), problems),
            kind,
            routing_keys,
            durable: raw.durable != Some(false),
        }
    }
}

fn login(
    raw: &RabbitmqEvent,
    address: &Address,
    path: &FieldPath,
    secrets: &dyn Secrets,
    problems: &mut Problems,
) -> Option<(Secret, Secret)> {
    let in_address = address.user.is_some() || address.password.is_some();
    if in_address && (raw.username.is_some() || raw.password.is_some()) {
        problems.push(&path.field("url"), "excludes username and password: it holds them already");
    }
    if in_address {
        return Some((address.user.clone().unwrap_or_default(), address.password.clone().unwrap_or_default()));
    }
    let mut read = |name: &str, source: &Option<_>| {
        source.as_ref().map(|source| secret::read(source, &path.field(name), secrets, problems))
    };
    let (username, password) = (read("username", &raw.username), read("password", &raw.password));
    client::pair(username, password, ("username", "password"), path, problems)
}

/// TLS when the scheme says so; certificates without it are a contradiction.
fn tls(
    raw: &RabbitmqEvent,
    address: &Address,
    path: &FieldPath,
    secrets: &dyn Secrets,
    problems: &mut Problems,
) -> Option<Tls> {
    let tls = raw.tls.as_ref().map(|tls| Tls::parse(tls, &path.field("tls"), secrets, problems));
    match address.scheme.as_str() {
        "amqps" => Some(tls.unwrap_or_default()),
        "amqp" if tls.is_some() => {
            problems.push(&path.field("url"), "amqp:// has no TLS: use amqps://");
            None
        }
        _ => None,
    }
}
