//! What daprd answers when something fails, as a [`Fault`]: one table for every call.

use prost::Message as _;
use tonic::{Code, Status};

use crate::fault::{Fault, FaultKind};

/// The longest text of daprd that a fault keeps: it quotes the component, which quotes its broker.
const MAX_TEXT: usize = 512;

/// How gRPC libraries word a message that is larger than the other side takes.
const LARGER: &str = "larger than max";

/// `google.rpc.Status`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.ErrorInfo`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
}

/// The fault that `status` stands for.
pub(super) fn fault(operation: &'static str, status: &Status) -> Fault {
    let reason = reason(status);
    let fault = Fault::new(kind(status, reason.as_deref()), operation, text(status));
    match reason {
        Some(reason) => fault.with_context("reason", reason),
        None => fault,
    }
}

/// Whether the component behind daprd says that it was never initialised: it was started again, and
/// daprd does not know. daprd quotes it in the text of an error of its own.
pub(super) fn is_uninitialised(status: &Status) -> bool {
    nested(status.message()) == Some(Code::FailedPrecondition) && !tells_of_version(status.message())
}

/// Whether a state store says that a version does not fit, for which it has the same code; in a transaction daprd
/// passes its words on.
pub(super) fn tells_of_version(text: &str) -> bool {
    text.to_ascii_lowercase().contains("etag")
}

fn kind(status: &Status, reason: Option<&str>) -> FaultKind {
    if status.message().contains(LARGER) {
        return FaultKind::TooLarge;
    }
    if reason.is_some_and(|reason| reason.ends_with("NOT_FOUND")) {
        return FaultKind::NotFound;
    }
    match status.code() {
        // daprd's own words for "the component said so": what the component said counts.
        code @ (Code::Internal | Code::Unknown) => of_code(nested(status.message()).unwrap_or(code)),
        code => of_code(code),
    }
}

fn of_code(code: Code) -> FaultKind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => FaultKind::Rejected,
        Code::DeadlineExceeded => FaultKind::Timeout,
        Code::NotFound => FaultKind::NotFound,
        Code::AlreadyExists | Code::Aborted => FaultKind::Conflict,
        Code::PermissionDenied | Code::Unauthenticated => FaultKind::Denied,
        Code::ResourceExhausted => FaultKind::Throttled,
        Code::Unimplemented => FaultKind::Unsupported,
        Code::DataLoss => FaultKind::Malformed,
        // A component that is missing or was never initialised may be there a moment later, and
        // what daprd calls internal or unknown is mostly a connection that broke.
        Code::Ok | Code::Cancelled | Code::FailedPrecondition | Code::Internal | Code::Unavailable | Code::Unknown => {
            FaultKind::Unavailable
        }
    }
}

/// The innermost code that the text quotes, in the way of Go: `rpc error: code = NotFound desc = ...`.
fn nested(text: &str) -> Option<Code> {
    let (_, rest) = text.rsplit_once("code = ")?;
    let word = rest.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    let codes = (0..=16).map(Code::from_i32);
    // The debug form of a code is the word that Go writes.
    codes.into_iter().find(|code| format!("{code:?}") == word)
}

/// The reason in the error details, such as `DAPR_PUBSUB_NOT_FOUND`.
fn reason(status: &Status) -> Option<String> {
    let details = RpcStatus::decode(status.details()).ok()?.details;
    let info = details.into_iter().find(|any| any.type_url.ends_with("google.rpc.ErrorInfo"))?;
    let reason = ErrorInfo::decode(&*info.value).ok()?.reason;
    (!reason.is_empty()).then_some(reason)
}

fn text(status: &Status) -> String {
    let message = status.message();
    let message = &message[..message.floor_char_boundary(MAX_TEXT)];
    let message: String = message.chars().filter(|c| !c.is_control()).collect();
    if message.is_empty() { format!("{:?}", status.code()) } else { message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Retry;

    #[test]
    fn every_code_has_its_kind() {
        let check = |code: Code, message: &str, kind: FaultKind| {
            let fault = fault("publish", &Status::new(code, message));
            assert_eq!(fault.kind(), kind, "{code:?} {message}");
        };
        check(Code::InvalidArgument, "topic is empty", FaultKind::Rejected);
        check(Code::PermissionDenied, "topic not allowed", FaultKind::Denied);
        check(Code::Unauthenticated, "", FaultKind::Denied);
        check(Code::Unimplemented, "", FaultKind::Unsupported);
        check(Code::Aborted, "etag mismatch", FaultKind::Conflict);
        check(Code::Unavailable, "connection refused", FaultKind::Unavailable);
        check(Code::ResourceExhausted, "slow down", FaultKind::Throttled);
        check(Code::ResourceExhausted, "grpc: received message larger than max (5 vs. 4)", FaultKind::TooLarge);
        check(Code::Internal, "error when publishing to topic x", FaultKind::Unavailable);
        check(Code::Internal, "rpc error: code = InvalidArgument desc = too wide", FaultKind::Rejected);
        check(Code::Unknown, "a: rpc error: code = Unimplemented desc = no", FaultKind::Unsupported);
        check(Code::Internal, "rpc error: code = Nonsense desc = no", FaultKind::Unavailable);
    }

    #[test]
    fn a_component_without_memory_is_recognised_in_what_daprd_quotes() {
        let quoted = Status::internal("error when publishing: rpc error: code = FailedPrecondition desc = never");
        assert!(is_uninitialised(&quoted));
        let conflict = "error in transaction: rpc error: code = FailedPrecondition desc = not what the etag names";
        assert!(!is_uninitialised(&Status::internal(conflict)));
        // daprd's own: no component of that name is configured.
        assert!(!is_uninitialised(&Status::failed_precondition("no pubsub is configured")));
        assert_eq!(fault("publish", &quoted).retry(), Retry::Backoff);
    }

    #[test]
    fn the_reason_in_the_details_counts_and_is_kept() {
        let info = ErrorInfo { reason: "DAPR_PUBSUB_NOT_FOUND".to_owned() };
        let any = prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
            value: info.encode_to_vec(),
        };
        let details = RpcStatus { details: vec![any] }.encode_to_vec();
        let status = Status::with_details(Code::InvalidArgument, "pubsub x is not found", details.into());
        let fault = fault("publish", &status);
        assert_eq!(fault.kind(), FaultKind::NotFound);
        assert_eq!(fault.to_string(), "failed to publish: pubsub x is not found (reason DAPR_PUBSUB_NOT_FOUND)");
    }
}
