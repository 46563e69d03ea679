//! The streams of a bus: made, kept in step with the configuration, or adopted.
//!
//! A stream that this program made says so in its metadata, and follows the configuration. One that
//! someone else made is used as it is; only the bus's subjects are added where they are missing. So
//! no setting of ours deletes what others keep.

use async_nats::jetstream::ErrorCode;
use serde_json::{Value as Json, json};

use super::config::{self, Config, Storage};
use super::names;
use super::server::{Server, refused};
use crate::fault::{Fault, FaultKind};

const OPERATION: &str = "set up the stream";
/// The metadata that marks a stream as ours.
const MARK: &str = "penstock";
/// The server takes no shorter window.
const SHORTEST_WINDOW: u128 = 100_000_000;

/// Makes or adopts everything that the bus needs.
///
/// # Errors
/// When the server cannot be reached or refuses, or a stream of that name cannot carry a bus.
pub(super) async fn ensure(server: &Server, config: &Config, stream: &str) -> Result<(), Fault> {
    for wanted in [events(config, stream), delayed(config, stream), state(config, stream)] {
        ensure_one(server, &wanted).await?;
    }
    Ok(())
}

fn common(config: &Config, name: &str, subjects: &str) -> Json {
    let storage = match config.storage {
        Storage::File => "file",
        Storage::Memory => "memory",
    };
    json!({
        "name": name,
        "subjects": [subjects],
        "storage": storage,
        "num_replicas": config.replicas,
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "metadata": {MARK: "1"},
    })
}

fn with(mut base: Json, more: Json) -> Json {
    if let (Some(base), Json::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

fn events(config: &Config, stream: &str) -> Json {
    let age = config.keep.age.as_nanos();
    // The server refuses a window that is longer than what it keeps.
    let window = config.keep.dedup_window.as_nanos().max(SHORTEST_WINDOW).min(age.max(SHORTEST_WINDOW));
    let own = json!({
        "description": "A Penstock event bus",
        "retention": "limits",
        "discard": "old",
        "max_bytes": config.keep.bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        "max_age": clamp(age),
        "duplicate_window": clamp(window),
    });
    with(common(config, stream, &names::subjects(stream)), own)
}

/// Events whose time has not come: kept until they are moved, however long that takes.
fn delayed(config: &Config, stream: &str) -> Json {
    let name = config::names::delayed_stream(stream);
    let own = json!({
        "description": "Events of a Penstock bus that are delivered later",
        "retention": "workqueue",
        "discard": "new",
        "duplicate_window": clamp(config.keep.dedup_window.as_nanos().max(SHORTEST_WINDOW)),
    });
    with(common(config, &name, &names::subjects(&name)), own)
}

/// What a key-value bucket of history 1 is made of, so that other tools read it; with atomic batches
/// and markers of deleted keys that go away by themselves.
fn state(config: &Config, stream: &str) -> Json {
    let bucket = names::bucket(stream);
    let own = json!({
        "description": "State beside a Penstock event bus",
        "retention": "limits",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "deny_delete": true,
        "allow_rollup_hdrs": true,
        "allow_direct": true,
        "allow_atomic": true,
        "allow_msg_ttl": true,
    });
    with(common(config, &format!("KV_{bucket}"), &format!("$KV.{bucket}.>")), own)
}

fn clamp(nanos: u128) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

async fn ensure_one(server: &Server, wanted: &Json) -> Result<(), Fault> {
    let name = wanted["name"].as_str().unwrap_or_default();
    let naming = |fault: Fault| fault.with_context("stream", name);
    let found = server.call::<Json>(OPERATION, &format!("STREAM.INFO.{name}"), &json!({})).await;
    match found.map_err(naming)? {
        Ok(found) => adopt(server, wanted, &found["config"]).await.map_err(naming),
        Err(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            let made = server.call::<Json>(OPERATION, &format!("STREAM.CREATE.{name}"), wanted).await;
            match made.map_err(naming)? {
                Ok(_) => Ok(()),
                // Another process was quicker.
                Err(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => Ok(()),
                Err(error) => Err(naming(refused(OPERATION, &error))),
            }
        }
        Err(error) => Err(naming(refused(OPERATION, &error))),
    }
}

async fn adopt(server: &Server, wanted: &Json, found: &Json) -> Result<(), Fault> {
    if found["retention"] != wanted["retention"] {
        let message = format!(
            "the stream has retention {}, which cannot carry this: {} is needed",
            found["retention"], wanted["retention"]
        );
        return Err(Fault::new(FaultKind::Rejected, OPERATION, message));
    }
    let changed = if found["metadata"][MARK].is_null() {
        let has = |subject: &Json| found["subjects"].as_array().is_some_and(|all| all.contains(subject));
        let missing: Vec<Json> =
            wanted["subjects"].as_array().into_iter().flatten().filter(|subject| !has(subject)).cloned().collect();
        let all = [found["subjects"].as_array().cloned().unwrap_or_default(), missing].concat();
        with(found.clone(), json!({"subjects": all}))
    } else {
        // Where events are kept cannot be changed later.
        let wanted = with(wanted.clone(), json!({"storage": found["storage"]}));
        let metadata = found["metadata"].clone();
        with(with(found.clone(), wanted), json!({"metadata": metadata}))
    };
    if changed == *found {
        return Ok(());
    }
    let name = wanted["name"].as_str().unwrap_or_default();
    match server.call::<Json>(OPERATION, &format!("STREAM.UPDATE.{name}"), &changed).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(OPERATION, &error)),
    }
}
