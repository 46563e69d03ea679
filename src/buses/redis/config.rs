//! The settings of a Redis streams bus.

use crate::api::client::{self, Endpoint, Tls};
use crate::api::event_bus::{RedisBus, SentinelSpec};
use crate::api::{FieldPath, Problems, Secret, Secrets, secret};

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
        }
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
