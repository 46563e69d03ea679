//! Calls to the server's `JetStream` API, and what its refusals mean.

use async_nats::jetstream::context::RequestErrorKind;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{Context, Error, ErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Told;
use crate::fault::{Fault, FaultKind};

/// Calls the API; the inner result is the server's own answer.
///
/// # Errors
/// When no answer comes, or one that cannot be understood.
pub async fn call<T: DeserializeOwned>(
    context: &Context,
    told: &Told,
    operation: &'static str,
    subject: &str,
    body: &(impl Serialize + Sync + ?Sized),
) -> Result<Result<T, Error>, Fault> {
    match context.request::<_, _, Response<T>>(subject.to_owned(), body).await {
        Ok(Response::Ok(answer)) => Ok(Ok(answer)),
        Ok(Response::Err { error }) => Ok(Err(error)),
        Err(error) => {
            let (kind, message) = match (error.kind(), told.denied(subject)) {
                (_, Some(text)) => (FaultKind::Denied, text),
                (RequestErrorKind::NoResponders, _) => {
                    (FaultKind::Unavailable, "JetStream is not enabled on the server, or not ready".to_owned())
                }
                (RequestErrorKind::TimedOut, _) => (FaultKind::Timeout, "the server does not answer".to_owned()),
                _ => (FaultKind::Unavailable, "the server's answer cannot be had".to_owned()),
            };
            Err(Fault::new(kind, operation, message).with_source(error))
        }
    }
}

/// The fault of a call that the server refuses.
pub fn refused(operation: &'static str, error: &Error) -> Fault {
    let kind = match error.error_code() {
        ErrorCode::INSUFFICIENT_RESOURCES | ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::STREAM_STORE_FAILED => {
            FaultKind::Full
        }
        ErrorCode::MEMORY_RESOURCES_EXCEEDED => FaultKind::Full,
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT => FaultKind::Conflict,
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => FaultKind::TooLarge,
        _ => match error.code() {
            404 => FaultKind::NotFound,
            503 => FaultKind::Unavailable,
            500 => FaultKind::Internal,
            _ => FaultKind::Rejected,
        },
    };
    Fault::new(kind, operation, error.to_string())
}
