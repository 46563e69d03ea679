//! The settings of a Redis streams bus.

use std::time::Duration;

use serde::Deserialize;

pub use crate::api::Keep;
use crate::api::client::{self, Endpoint, Tls};
use crate::api::event_bus::{BusSpec, RedisBus, RetentionSpec, SentinelSpec};
use crate::api::metadata::{self, Key, Metadata, Shape, Values};
use crate::api::{FieldPath, Problems, Secret, Secrets, secret};

/// The keys of a Component's metadata.
pub const KEYS: [Key; 14] = [
    ("address", Shape::Text),
    ("username", Shape::Secret),
    ("password", Shape::Secret),
    ("db", Shape::Number),
    ("cluster", Shape::Flag),
    ("sentinel.master", Shape::Text),
    ("sentinel.addresses", Shape::List),
    ("tls.ca", Shape::Secret),
    ("tls.cert", Shape::Secret),
    ("tls.key", Shape::Secret),
    ("tls.insecureSkipVerify", Shape::Flag),
    ("retention.age", Shape::Text),
    ("retention.size", Shape::Text),
    ("dedupWindow", Shape::Text),
];

/// How long an event may be without a sign of its reader before others get it.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// Redis servers as a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A server, or those that know the others (cluster, sentinels).
    pub servers: Vec<Endpoint>,
    pub topology: Topology,
    pub username: Option<Secret>,
    pub password: Option<Secret>,
    /// The number of the database.
    pub db: i64,
    pub tls: Option<Tls>,
    /// What the names of all keys begin with, so that buses can share a server.
    pub prefix: String,
    /// How long an event may be without a sign of its reader before others get it.
    pub ack_wait: Duration,
    /// The size counts for each topic: the memory that it takes.
    pub keep: Keep,
}

/// How the servers belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    Node,
    Cluster,
    /// The servers are sentinels; this is the name of the master.
    Sentinel(String),
}

impl Config {
    /// Reads the settings that stand at `path`.
    pub fn parse(raw: &RedisBus, path: &FieldPath, secrets: &dyn Secrets, problems: &mut Problems) -> Self {
        let (servers, topology) = servers(raw, path, problems);
        let db = raw.db.unwrap_or(0);
        if db < 0 || (topology == Topology::Cluster && db != 0) {
            let reason = if db < 0 { "must not be negative" } else { "a cluster has only database 0" };
            problems.push(&path.field("db"), reason);
        }
        if raw.username.is_some() && raw.password.is_none() {
            problems.push(&path.field("username"), "needs \"password\"");
        }
        if raw.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify == Some(true)) {
            let path = path.field("tls").field("insecureSkipVerify");
            problems.push(&path, "cannot be had for Redis: name the server's authority in \"ca\"");
        }
        let mut read = |name: &str, source: &Option<_>| {
            source.as_ref().map(|source| secret::read(source, &path.field(name), secrets, problems))
        };
        Self {
            username: read("username", &raw.username),
            password: read("password", &raw.password),
            tls: raw.tls.as_ref().map(|tls| Tls::parse(tls, &path.field("tls"), secrets, problems)),
            servers,
            topology,
            db,
            prefix: "penstock".to_owned(),
            ack_wait: ACK_WAIT,
            keep: Keep::default(),
        }
    }

    /// Reads the metadata of a Component; `None` when something is wrong.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            #[serde(flatten)]
            redis: RedisBus,
            retention: Option<RetentionSpec>,
            dedup_window: Option<String>,
        }
        let before = problems.len();
        let Raw { redis, retention, dedup_window } = metadata::read(metadata, &KEYS, problems)?;
        let config = Self::parse(&redis, &metadata::path(), &Values(metadata), problems);
        let spec = BusSpec { retention, dedup_window, ..BusSpec::default() };
        let keep = Keep::parse(&spec, &metadata::path(), problems);
        (problems.len() == before).then_some(config.keeping(keep))
    }

    /// Names the keys after the bus `name`, of a cluster's bus when `namespace` is empty. Two buses
    /// never share any: the names of Kubernetes have no colon.
    #[must_use]
    pub fn of_bus(self, namespace: &str, name: &str) -> Self {
        Self { prefix: format!("penstock:{namespace}:{name}"), ..self }
    }

    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }
}

fn servers(raw: &RedisBus, path: &FieldPath, problems: &mut Problems) -> (Vec<Endpoint>, Topology) {
    let cluster = raw.cluster == Some(true);
    match (&raw.address, &raw.sentinel) {
        (Some(address), None) => {
            let servers = client::endpoints(address, &path.field("address"), problems);
            if !cluster && servers.len() > 1 {
                problems.push(&path.field("address"), "several servers need \"cluster: true\" or \"sentinel\"");
            }
            (servers, if cluster { Topology::Cluster } else { Topology::Node })
        }
        (None, Some(sentinel)) => {
            let path = path.field("sentinel");
            if cluster {
                problems.push(&path, "excludes \"cluster\"");
            }
            (sentinels(sentinel, &path, problems), Topology::Sentinel(sentinel.master.clone()))
        }
        (one, _) => {
            let verb = if one.is_some() { "exclude each other" } else { "are missing: one of them is needed" };
            problems.push(path, format!("\"address\" and \"sentinel\" {verb}"));
            (Vec::new(), Topology::Node)
        }
    }
}

fn sentinels(sentinel: &SentinelSpec, path: &FieldPath, problems: &mut Problems) -> Vec<Endpoint> {
    if sentinel.master.is_empty() {
        problems.push(&path.field("master"), "must not be empty");
    }
    let list = path.field("addresses");
    if sentinel.addresses.is_empty() {
        problems.push(&list, "at least one address is needed");
    }
    let each = sentinel.addresses.iter().enumerate();
    each.flat_map(|(index, address)| client::endpoints(address, &list.index(index), problems)).collect()
}
