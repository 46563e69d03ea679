//! Durable pull consumers: made, adopted, asked for their lag.

use async_nats::jetstream::{Error, ErrorCode};
use serde_json::{Value as Json, json};

use super::config::{self, Config};
use super::server::{Server, refused};
use crate::fault::{Fault, FaultKind};
use crate::flow::Start;

/// One consumer, as it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub stream: String,
    pub name: String,
    pub filter: String,
    /// Where it starts when it does not exist yet.
    pub start: Json,
}

impl Consumer {
    /// Makes the consumer unless it is there. One that is there keeps its place; only how long the
    /// server waits for an acknowledgement follows the configuration.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, or a consumer of that name is of another kind.
    pub(super) async fn ensure(&self, server: &Server, config: &Config) -> Result<(), Fault> {
        const OPERATION: &str = "join a consumer group";
        let naming = |fault: Fault| fault.with_context("consumer", &self.name).with_context("stream", &self.stream);
        let answer = match info(server, OPERATION, &self.stream, &self.name).await? {
            Ok(found) => {
                let settings = &found["config"];
                if settings["ack_policy"] != "explicit" || !settings["deliver_subject"].is_null() {
                    let message = "the consumer acknowledges otherwise or is pushed to: it must be a pull consumer with explicit acknowledgement";
                    return Err(naming(Fault::new(FaultKind::Rejected, OPERATION, message)));
                }
                let mut wanted = settings.clone();
                wanted["ack_wait"] = ack_wait(config);
                wanted["max_ack_pending"] = json!(-1);
                if wanted == *settings {
                    return Ok(());
                }
                self.put(server, OPERATION, &wanted, "update").await?
            }
            Err(error) if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {
                self.put(server, OPERATION, &self.settings(config), "create").await?
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => Ok(()),
            // Another process was quicker.
            Err(error) if error.error_code() == ErrorCode::CONSUMER_ALREADY_EXISTS => Ok(()),
            Err(error) => Err(naming(refused(OPERATION, &error))),
        }
    }

    /// Members bound what they hold themselves; the server's own bound counts what waits for its next
    /// attempt too, so that it could stop a group for as long as its longest pause.
    fn settings(&self, config: &Config) -> Json {
        let mut settings = json!({
            "durable_name": self.name,
            "name": self.name,
            "filter_subject": self.filter,
            "ack_policy": "explicit",
            "ack_wait": ack_wait(config),
            "max_deliver": -1,
            "max_ack_pending": -1,
            "replay_policy": "instant",
        });
        if let (Some(settings), Some(start)) = (settings.as_object_mut(), self.start.as_object()) {
            settings.extend(start.clone());
        }
        settings
    }

    async fn put(
        &self,
        server: &Server,
        operation: &'static str,
        settings: &Json,
        action: &str,
    ) -> Result<Result<Json, Error>, Fault> {
        let subject = format!("CONSUMER.CREATE.{}.{}.{}", self.stream, self.name, self.filter);
        let body = json!({"stream_name": self.stream, "config": settings, "action": action});
        server.call(operation, &subject, &body).await
    }
}

fn ack_wait(config: &Config) -> Json {
    json!(i64::try_from(config.ack_wait.as_nanos()).unwrap_or(i64::MAX))
}

/// Where a new group starts. What the bus's configuration says counts more than what is asked for.
pub(super) fn start(configured: &config::Start, asked: Start, now: jiff::Timestamp) -> Json {
    let time = |time: jiff::Timestamp| json!({"deliver_policy": "by_start_time", "opt_start_time": time.to_string()});
    match (configured, asked) {
        (config::Start::All, Start::Earliest) => json!({"deliver_policy": "all"}),
        (config::Start::All, Start::Latest) | (config::Start::New, _) => json!({"deliver_policy": "new"}),
        (config::Start::Last, _) => json!({"deliver_policy": "last"}),
        (config::Start::Sequence(number), _) => {
            json!({"deliver_policy": "by_start_sequence", "opt_start_seq": number})
        }
        (config::Start::Time(moment), _) => time(*moment),
        (config::Start::Since(ago), _) => time(now.checked_sub(*ago).unwrap_or(jiff::Timestamp::UNIX_EPOCH)),
    }
}

/// Events that the consumer has not been given, or has and did not settle.
///
/// # Errors
/// `NotFound` when there is no such consumer.
pub(super) async fn lag(server: &Server, stream: &str, name: &str) -> Result<u64, Fault> {
    const OPERATION: &str = "ask for the lag";
    let found = info(server, OPERATION, stream, name).await?;
    let found = found.map_err(|error| refused(OPERATION, &error).with_context("consumer", name))?;
    let number = |field: &str| found[field].as_u64().unwrap_or_default();
    Ok(number("num_pending") + number("num_ack_pending"))
}

async fn info(
    server: &Server,
    operation: &'static str,
    stream: &str,
    name: &str,
) -> Result<Result<Json, Error>, Fault> {
    server.call(operation, &format!("CONSUMER.INFO.{stream}.{name}"), &json!({})).await
}
