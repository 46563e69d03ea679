//! The durable consumer: made, or adopted as it is.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{Context, ErrorCode};
use serde_json::{Value as Json, json};

use super::config::Start;
use crate::dial::nats::{Told, call, refused};
use crate::fault::{Fault, FaultKind, Retry};

const OPERATION: &str = "find the consumer";
/// For the server to answer a call.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the server waits for an acknowledgement or a sign of progress, with a consumer made here.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// One consumer, as it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub stream: String,
    pub name: String,
    pub subject: String,
    pub start: Start,
}

/// What the server says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub ack_wait: Duration,
    /// Messages that all readers together may hold unacknowledged; without a limit when absent.
    pub max_ack_pending: Option<usize>,
}

impl Consumer {
    /// Makes the consumer unless it is there. One that is there is taken as it is.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, there is no such stream, or a consumer of that name
    /// reads something else or in another way.
    pub(super) async fn ensure(&self, client: &Client, told: &Told) -> Result<Found, Fault> {
        let context = ContextBuilder::new().timeout(PATIENCE).build(client.clone());
        let naming = |fault: Fault| fault.with_context("consumer", &self.name).with_context("stream", &self.stream);
        let info = format!("CONSUMER.INFO.{}.{}", self.stream, self.name);
        let found = call::<Json>(&context, told, OPERATION, &info, &json!({})).await.map_err(naming)?;
        let answer = match found {
            Err(error) if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {
                self.make(&context, told).await.map_err(naming)?
            }
            found => found,
        };
        match answer {
            Ok(found) => self.judge(&found["config"]).map_err(naming),
            Err(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                let fault = Fault::new(FaultKind::NotFound, OPERATION, "there is no such stream on the server");
                Err(naming(fault.with_retry(Retry::Never)))
            }
            Err(error) => Err(naming(refused(OPERATION, &error))),
        }
    }

    /// Readers bound what they hold themselves; the server's own bound counts what waits for its next attempt
    /// too, so that it could stop them for as long as its longest pause.
    async fn make(&self, context: &Context, told: &Told) -> Result<Result<Json, async_nats::jetstream::Error>, Fault> {
        let start = match self.start {
            Start::All => "all",
            Start::New => "new",
            Start::Last => "last",
        };
        let settings = json!({
            "durable_name": self.name,
            "name": self.name,
            "filter_subject": self.subject,
            "deliver_policy": start,
            "ack_policy": "explicit",
            "ack_wait": i64::try_from(ACK_WAIT.as_nanos()).unwrap_or(i64::MAX),
            "max_deliver": -1,
            "max_ack_pending": -1,
            "replay_policy": "instant",
        });
        let subject = format!("CONSUMER.CREATE.{}.{}.{}", self.stream, self.name, self.subject);
        let body = json!({"stream_name": self.stream, "config": settings, "action": "create"});
        call(context, told, "make the consumer", &subject, &body).await
    }

    fn judge(&self, settings: &Json) -> Result<Found, Fault> {
        let wrong = |message: String| Err(Fault::new(FaultKind::Rejected, OPERATION, message));
        if settings["ack_policy"] != "explicit" || !settings["deliver_subject"].is_null() {
            let message =
                "it acknowledges otherwise or is pushed to: it must be a pull consumer with explicit acknowledgement";
            return wrong(message.to_owned());
        }
        let read = match (&settings["filter_subject"], &settings["filter_subjects"]) {
            (Json::String(subject), _) => subject.clone(),
            (_, Json::Array(subjects)) => subjects.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "),
            _ => ">".to_owned(),
        };
        if read != self.subject {
            return wrong(format!("it is there and reads {read:?}, not {:?}: name another durable", self.subject));
        }
        let limit = settings["max_ack_pending"].as_u64().and_then(|limit| usize::try_from(limit).ok());
        // With pauses of its own, the server waits for the first of them instead.
        let waits = std::iter::once(&settings["ack_wait"]).chain(settings["backoff"].as_array().into_iter().flatten());
        Ok(Found {
            ack_wait: waits.filter_map(Json::as_u64).min().map_or(ACK_WAIT, Duration::from_nanos),
            max_ack_pending: limit.filter(|limit| *limit > 0),
        })
    }
}
