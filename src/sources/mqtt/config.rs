//! The settings of one MQTT topic filter.

pub use crate::api::Secret;
use crate::api::client::{self, Address, Backoff, Endpoint, Tls};
use crate::api::event_source::MqttEvent;
use crate::api::metadata::{self, Key, Metadata, Shape, Values};
use crate::api::{FieldPath, Problems, SecretValue, Secrets, secret, value};

/// Schemes, their default ports, and whether they mean TLS.
const SCHEMES: [(&str, u16); 5] = [("mqtt", 1883), ("tcp", 1883), ("mqtts", 8883), ("ssl", 8883), ("tls", 8883)];
const TLS_SCHEMES: [&str; 3] = ["mqtts", "ssl", "tls"];
/// A string's length has two bytes (MQTT 5.0, 1.5.4).
const MAX_TEXT: usize = 65_535;

/// The keys of a Component's metadata. Dapr takes `consumerID` for itself, so it is `clientID` there.
pub const KEYS: [Key; 19] = metadata::connected([
    ("url", Shape::Text),
    ("topic", Shape::Text),
    ("clientID", Shape::Text),
    ("qos", Shape::Number),
    ("retain", Shape::Flag),
    ("cleanSession", Shape::Flag),
    ("version", Shape::Text),
    ("sharedGroup", Shape::Text),
    ("username", Shape::Secret),
    ("password", Shape::Secret),
    ("caCert", Shape::Secret),
    ("clientCert", Shape::Secret),
    ("clientKey", Shape::Secret),
    ("jsonBody", Shape::Flag),
]);

/// One MQTT topic filter to subscribe to.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Absent only beside a problem.
    pub broker: Option<Endpoint>,
    pub tls: Option<Tls>,
    /// As the broker gets it, with the shared group in front.
    pub topic: String,
    /// Made from the names of the event when absent.
    pub client_id: Option<String>,
    pub qos: Qos,
    /// Whether messages that were retained before the subscription are taken.
    pub retained: bool,
    pub clean_session: bool,
    pub version: Version,
    pub username: Option<Secret>,
    pub password: Option<Secret>,
    pub json_body: bool,
    pub backoff: Backoff,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qos {
    AtMostOnce,
    #[default]
    AtLeastOnce,
    ExactlyOnce,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    #[default]
    V3_1_1,
    V5,
}

impl Config {
    /// Reads the settings that stand at `path`.
    pub fn parse(
        raw: &MqttEvent,
        _name: &str,
        path: &FieldPath,
        secrets: &dyn Secrets,
        problems: &mut Problems,
    ) -> Self {
        let address = client::address(&raw.url, &SCHEMES, &path.field("url"), problems);
        let versions = [("3.1.1", Version::V3_1_1), ("5", Version::V5)];
        let version = raw.version.as_deref();
        let version = version.and_then(|word| value::word(word, &versions, &path.field("version"), problems));
        let clean_session = raw.clean_session == Some(true);
        let qos = qos(raw.qos, &path.field("qos"), problems);
        if qos == Qos::AtMostOnce {
            problems.warn(&path.field("qos"), "with QoS 0 the broker keeps nothing: events can be lost");
        } else if clean_session {
            problems.warn(&path.field("cleanSession"), "what arrives while disconnected is lost");
        }
        if raw.common.scale_option.is_some() {
            client::lag_threshold(raw.common.scale_option.as_ref(), &path.field("scaleOption"), problems);
        }
        let backoff_path = path.field("connectionBackoff");
        let (username, password) = login(raw, &address, path, secrets, problems);
        Self {
            tls: tls(raw, &address, path, secrets, problems),
            broker: address.endpoint,
            topic: topic(raw, path, problems),
            client_id: client_id(raw.consumer_id.as_deref(), &path.field("consumerID"), problems),
            qos,
            retained: raw.retain == Some(true),
            clean_session,
            version: version.unwrap_or_default(),
            username,
            password,
            json_body: raw.common.json_body == Some(true),
            backoff: Backoff::parse(raw.common.connection_backoff.as_ref(), &backoff_path, problems),
        }
    }

    /// Reads the metadata of a Component. `None` when a problem was found.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let raw = metadata::read(metadata, &KEYS, problems)?;
        let config = Self::parse(&raw, "", &metadata::path(), &Values(metadata), problems);
        (problems.len() == before).then_some(config)
    }
}

fn qos(level: Option<u8>, path: &FieldPath, problems: &mut Problems) -> Qos {
    match level {
        None | Some(1) => Qos::AtLeastOnce,
        Some(0) => Qos::AtMostOnce,
        Some(2) => Qos::ExactlyOnce,
        Some(other) => {
            problems.push(path, format!("must be 0, 1 or 2, not {other}"));
            Qos::default()
        }
    }
}

fn client_id(id: Option<&str>, path: &FieldPath, problems: &mut Problems) -> Option<String> {
    let id = id.filter(|id| !id.is_empty())?;
    if id.len() > MAX_TEXT || id.contains('\0') {
        problems.push(path, format!("must be at most {MAX_TEXT} bytes and hold no null character"));
    }
    Some(id.to_owned())
}

/// The topic filter (MQTT 5.0, 4.7 and 4.8.2).
fn topic(raw: &MqttEvent, path: &FieldPath, problems: &mut Problems) -> String {
    let topic_path = path.field("topic");
    let topic = raw.topic.as_str();
    let levels: Vec<&str> = topic.split('/').collect();
    if topic.is_empty() {
        problems.push(&topic_path, "must not be empty");
    } else if topic.len() > MAX_TEXT || topic.contains('\0') {
        problems.push(&topic_path, format!("must be at most {MAX_TEXT} bytes and hold no null character"));
    } else if levels[0] == "$share" {
        problems.push_help(&topic_path, "a shared subscription has a field of its own", "use sharedGroup");
    } else if levels.iter().any(|level| level.len() > 1 && level.contains(['#', '+'])) {
        problems.push(&topic_path, format!("{topic:?}: # and + must stand alone between slashes"));
    } else if levels[..levels.len() - 1].contains(&"#") {
        problems.push(&topic_path, format!("{topic:?}: # must come last"));
    }
    let Some(group) = raw.shared_group.as_deref() else { return topic.to_owned() };
    if group.is_empty() || group.contains(['/', '#', '+', '\0']) {
        problems.push(&path.field("sharedGroup"), format!("{group:?} must be a name without /, # and +"));
    }
    if raw.retain == Some(true) {
        problems
            .warn(&path.field("retain"), "has no effect: brokers send no retained messages to shared subscriptions");
    }
    format!("$share/{group}/{topic}")
}

fn login(
    raw: &MqttEvent,
    address: &Address,
    path: &FieldPath,
    secrets: &dyn Secrets,
    problems: &mut Problems,
) -> (Option<Secret>, Option<Secret>) {
    let in_address = address.user.is_some() || address.password.is_some();
    if in_address && (raw.username.is_some() || raw.password.is_some()) {
        problems.push(&path.field("url"), "excludes username and password: it holds them already");
    }
    if raw.password.is_some() && raw.username.is_none() {
        problems.push(&path.field("password"), "needs \"username\"");
    }
    if in_address {
        return (address.user.clone(), address.password.clone());
    }
    let username = raw.username.as_ref().map(|name| secret::read(name, &path.field("username"), secrets, problems));
    let password = raw.password.as_ref().map(|text| secret::read(text, &path.field("password"), secrets, problems));
    (username, password)
}

/// TLS when the scheme says so; certificates without it are a contradiction.
fn tls(
    raw: &MqttEvent,
    address: &Address,
    path: &FieldPath,
    secrets: &dyn Secrets,
    problems: &mut Problems,
) -> Option<Tls> {
    let mut read = |name: &str, value: &Option<SecretValue>| {
        value.as_ref().map(|value| secret::read_value(value, &path.field(name), secrets, problems))
    };
    let (ca, cert, key) =
        (read("caCert", &raw.ca_cert), read("clientCert", &raw.client_cert), read("clientKey", &raw.client_key));
    let certificates = ca.is_some() || cert.is_some() || key.is_some();
    let identity = client::pair(cert, key, ("clientCert", "clientKey"), path, problems);
    if TLS_SCHEMES.contains(&address.scheme.as_str()) {
        return Some(Tls { ca, identity, insecure: false });
    }
    if certificates && !address.scheme.is_empty() {
        problems
            .push(&path.field("url"), format!("{}:// has no TLS for the certificates: use mqtts://", address.scheme));
    }
    None
}
