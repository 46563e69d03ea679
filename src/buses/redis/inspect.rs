//! What the server is: old, forgetful, or fit to keep events.
//!
//! Events that were confirmed survive a crash of the server only when it writes each to its disk before
//! it answers: `appendonly yes`, `appendfsync always`.

use redis::Value;

use super::server::Server;
use crate::fault::{Fault, FaultKind};

const OPERATION: &str = "look at the server";
/// `XAUTOCLAIM` is needed.
const OLDEST: (u32, u32) = (6, 2);

/// Looks at the server, and warns of what would lose events; whether it writes each one to its disk.
///
/// # Errors
/// `Rejected` when it is too old; otherwise when it does not answer.
pub(super) async fn inspect(server: &Server) -> Result<bool, Fault> {
    let info = info(server).await?;
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim).unwrap_or_default()
    };
    if let Some(version) = version(field("redis_version"))
        && version < OLDEST
    {
        let message = format!("Redis {} is too old: {}.{} is needed", field("redis_version"), OLDEST.0, OLDEST.1);
        return Err(Fault::new(FaultKind::Rejected, OPERATION, message));
    }
    let policy = field("maxmemory_policy");
    if policy.starts_with("allkeys") {
        tracing::warn!(policy, "Redis may throw events away when memory is short; set maxmemory-policy noeviction");
    }
    let fsync = appendfsync(server).await;
    let durable = warning(field("aof_enabled"), fsync.as_deref());
    if let Some(warning) = durable {
        tracing::warn!("{warning}");
    }
    Ok(durable.is_none())
}

/// What is wrong with how the server keeps what it confirmed.
fn warning(aof_enabled: &str, fsync: Option<&str>) -> Option<&'static str> {
    match (aof_enabled, fsync) {
        ("1", Some("always")) => None,
        ("1", Some(_)) => Some(
            "Redis confirms events before they are on its disk: a crash may lose the last second. Set appendfsync always",
        ),
        ("1", None) => {
            Some("Redis does not tell its appendfsync: unless it is always, a crash loses events that were confirmed")
        }
        _ => Some(
            "Redis keeps no append-only file: a crash loses events that were confirmed. Set appendonly yes and appendfsync always",
        ),
    }
}

async fn info(server: &Server) -> Result<String, Fault> {
    match server.call::<Value>(OPERATION, &redis::cmd("INFO")).await {
        Ok(value) => Ok(text(value).unwrap_or_default()),
        // Not permitted: then nothing is known.
        Err(fault) if fault.kind() == FaultKind::Denied => Ok(String::new()),
        Err(fault) => Err(fault),
    }
}

async fn appendfsync(server: &Server) -> Option<String> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("appendfsync");
    let found: Vec<String> = server.call(OPERATION, &command).await.ok()?;
    found.into_iter().nth(1)
}

/// The text of an answer; of a cluster's, that of its first server.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Map(servers) => text(servers.into_iter().next()?.1),
        value => redis::from_redis_value(value).ok(),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_writes_before_it_answers_is_durable() {
        assert_eq!(warning("1", Some("always")), None);
        for (aof, fsync, word) in [
            ("1", Some("everysec"), "appendfsync always"),
            ("1", None, "does not tell"),
            ("0", Some("always"), "appendonly yes"),
            ("", None, "appendonly yes"),
        ] {
            assert!(warning(aof, fsync).unwrap().contains(word), "{aof} {fsync:?}");
        }
        assert_eq!(version("7.0.15"), Some((7, 0)));
        assert!(version("6.0.9").unwrap() < OLDEST);
    }
}
