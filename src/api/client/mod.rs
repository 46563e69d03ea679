//! What the clients of all brokers have in common, read from its raw shapes: addresses, TLS, SASL,
//! pauses between connection attempts, scaling.

pub mod nats;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::event_source::{ClientTls, ConnectionBackoff, SaslSpec, ScaleOption};
use super::problem::alternatives;
use super::{FieldPath, Problems, Secret, Secrets, duration, secret, value};

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
}

/// As people write it: `host:port`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `host:port`, several of them comma separated. At least one is needed.
pub fn endpoints(text: &str, path: &FieldPath, problems: &mut Problems) -> Vec<Endpoint> {
    let mut found = Vec::new();
    for part in text.split(',').map(str::trim) {
        match endpoint(part) {
            Some(endpoint) => found.push(endpoint),
            None if part.contains("://") => {
                problems.push_help(path, format!("{part:?} has a scheme"), "write host:port, comma separated");
            }
            None => problems.push_help(path, format!("{part:?} is not host:port"), "such as \"kafka.default:9092\""),
        }
    }
    found
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None => is_host(host).then(|| host.to_owned())?,
    };
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some(Endpoint { host, port })
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// An address with a scheme, as brokers other than Kafka have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub scheme: String,
    /// `host:port`, the port from `default_port` when absent.
    pub endpoint: Option<Endpoint>,
    /// What stood before the `@`, decoded.
    pub user: Option<Secret>,
    pub password: Option<Secret>,
}

/// Reads `scheme://user:password@host:port`. Where a password may stand, the text is never repeated
/// in a message. `schemes` are known words with their default ports.
pub fn address(text: &str, schemes: &[(&str, u16)], path: &FieldPath, problems: &mut Problems) -> Address {
    let known: Vec<&str> = schemes.iter().map(|(scheme, _)| *scheme).collect();
    let example = || format!("such as \"{}://host:{}\"", schemes[0].0, schemes[0].1);
    let Some((scheme, rest)) = text.split_once("://") else {
        problems.push_help(path, "must begin with a scheme", example());
        return Address::default();
    };
    let Some((scheme, default_port)) = schemes.iter().find(|(known, _)| known.eq_ignore_ascii_case(scheme)) else {
        problems.push_help(path, format!("unknown scheme {scheme:?}"), alternatives(scheme, &known));
        return Address::default();
    };
    let (user_info, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let with_port =
        if host.ends_with(']') || !host.contains(':') { format!("{host}:{default_port}") } else { host.to_owned() };
    let endpoint = endpoint(&with_port);
    if endpoint.is_none() {
        problems.push_help(path, format!("{host:?} is not host:port"), example());
    }
    let (user, password) = match user_info.map(|info| info.split_once(':').unwrap_or((info, ""))) {
        None => (None, None),
        Some((user, password)) => {
            problems.warn(path, "a password in an address can be read by everyone who reads this file");
            let secret = |text: &str| (!text.is_empty()).then(|| Secret::new(percent_decode(text)));
            (secret(user), secret(password))
        }
    };
    Address { scheme: (*scheme).to_owned(), endpoint, user, password }
}

/// RFC 3986, 2.1; what is no escape is left as it is.
pub fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// TLS towards a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authority (PEM); the system's when absent.
    pub ca: Option<Secret>,
    /// The client's certificate and key (PEM).
    pub identity: Option<(Secret, Secret)>,
    /// Any server certificate is taken.
    pub insecure: bool,
}

impl Tls {
    pub fn parse(spec: &ClientTls, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let mut read = |name: &str, source: &Option<_>| {
            source.as_ref().map(|source| secret::read(source, &path.field(name), secrets, problems))
        };
        let (ca, cert, key) = (read("ca", &spec.ca), read("cert", &spec.cert), read("key", &spec.key));
        let insecure = spec.insecure_skip_verify == Some(true);
        if insecure {
            problems.warn(&path.field("insecureSkipVerify"), "any server is trusted: for trials only");
        }
        Self { ca, identity: pair(cert, key, ("cert", "key"), path, problems), insecure }
    }
}

/// Both or neither.
pub fn pair<T>(
    one: Option<T>,
    other: Option<T>,
    names: (&str, &str),
    path: &FieldPath,
    problems: &mut Problems,
) -> Option<(T, T)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one, other)),
        (None, None) => None,
        (Some(_), None) => {
            problems.push(path, format!("{:?} needs {:?}", names.0, names.1));
            None
        }
        (None, Some(_)) => {
            problems.push(path, format!("{:?} needs {:?}", names.1, names.0));
            None
        }
    }
}

/// How a client proves who it is (RFC 4422).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sasl {
    pub mechanism: Mechanism,
    pub username: Secret,
    pub password: Secret,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mechanism {
    #[default]
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Sasl {
    pub fn parse(spec: &SaslSpec, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let known = [
            ("PLAIN", Mechanism::Plain),
            ("SCRAM-SHA-256", Mechanism::ScramSha256),
            ("SCRAM-SHA-512", Mechanism::ScramSha512),
        ];
        Self {
            mechanism: value::word(&spec.mechanism, &known, &path.field("mechanism"), problems).unwrap_or_default(),
            username: secret::read(&spec.username, &path.field("username"), secrets, problems),
            password: secret::read(&spec.password, &path.field("password"), secrets, problems),
        }
    }
}

/// Pauses between connection attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    pub base: Duration,
    /// How many attempts; without an end when absent.
    pub steps: Option<u32>,
    /// Each pause is the one before times this.
    pub factor: f64,
    /// Up to this share of a pause is added at random.
    pub jitter: f64,
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), steps: None, factor: 2.0, jitter: 0.2, cap: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// Reads `connectionBackoff`; what is absent or wrong is the default.
    pub fn parse(spec: Option<&ConnectionBackoff>, path: &FieldPath, problems: &mut Problems) -> Self {
        let default = Self::default();
        let Some(spec) = spec else { return default };
        let base = spec.duration.as_ref().map(duration::parse_or_nanos);
        let base = base.and_then(|base| value::positive(base, &path.field("duration"), problems));
        let cap = spec.cap.as_deref().and_then(|cap| value::positive_span(cap, &path.field("cap"), problems));
        if spec.steps == Some(0) {
            problems.push(&path.field("steps"), "must be at least 1");
        }
        let mut number = |name: &str, value: Option<f64>, least: f64, most: f64, default: f64| match value {
            Some(value) if !(least..=most).contains(&value) => {
                problems.push(&path.field(name), format!("must be {least} to {most}, not {value}"));
                default
            }
            value => value.unwrap_or(default),
        };
        let factor = number("factor", spec.factor, 1.0, 100.0, default.factor);
        let jitter = number("jitter", spec.jitter, 0.0, 1.0, default.jitter);
        let base = base.unwrap_or(default.base);
        // A first pause beyond the default cap is wanted: it must not be cut.
        Self { base, steps: spec.steps, factor, jitter, cap: cap.unwrap_or(default.cap.max(base)) }
    }
}

/// Judges `scaleOption`; the events per replica.
pub fn lag_threshold(spec: Option<&ScaleOption>, path: &FieldPath, problems: &mut Problems) -> u64 {
    const DEFAULT: u64 = 10;
    let Some(spec) = spec else { return DEFAULT };
    let counts = [
        ("pollingInterval", spec.polling_interval, 1),
        ("cooldownPeriod", spec.cooldown_period, 0),
        ("minReplicaCount", spec.min_replica_count, 0),
        ("maxReplicaCount", spec.max_replica_count, 1),
    ];
    for (name, value, least) in counts {
        if let Some(value) = value.filter(|value| *value < least) {
            problems.push(&path.field(name), format!("must be at least {least}, not {value}"));
        }
    }
    if let (Some(least), Some(most)) = (spec.min_replica_count, spec.max_replica_count)
        && least > most
    {
        problems.push(&path.field("minReplicaCount"), format!("{least} is more than maxReplicaCount {most}"));
    }
    let Some(text) = &spec.lag_threshold else { return DEFAULT };
    text.parse().ok().filter(|number| *number > 0).unwrap_or_else(|| {
        problems.push_help(
            &path.field("lagThreshold"),
            format!("{text:?} is not a number of events"),
            "such as \"10\"",
        );
        DEFAULT
    })
}

/// Judges the `scaleOption` of routers: the lag is that of their own consumers, whatever else is said.
pub fn router_scale(spec: Option<&ScaleOption>, path: &FieldPath, problems: &mut Problems) {
    lag_threshold(spec, path, problems);
    let Some(spec) = spec else { return };
    for name in spec.chosen().filter(|name| *name != ScaleOption::MONITOR) {
        problems.warn(&path.field(name), "has no effect: the lag of the Trigger's own consumer counts");
    }
}

/// Settings that are passed on to a client library: only those of the list.
pub fn allowed(
    settings: Option<&BTreeMap<String, String>>,
    list: &[&str],
    path: &FieldPath,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for (name, value) in settings.into_iter().flatten() {
        if list.contains(&name.as_str()) {
            kept.insert(name.clone(), value.clone());
        } else {
            let message = format!("{name:?} cannot be set here");
            problems.push_help(&path.field(name), message, alternatives(name, list));
        }
    }
    kept
}

#[cfg(test)]
mod tests;
