//! Faults as gRPC statuses, in the words that daprd understands.

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

use crate::fault::{Fault, FaultKind};
use crate::proto::rpc;

/// The field that daprd looks for when a state store refuses an etag.
const ETAG: &str = "etag";

/// A fault as a status: its own message, without the causes, which are for the log.
pub(super) fn status(fault: &Fault) -> Status {
    Status::new(code(fault.kind()), fault.to_string())
}

fn code(kind: FaultKind) -> Code {
    match kind {
        FaultKind::Unavailable | FaultKind::Closed => Code::Unavailable,
        FaultKind::Timeout => Code::DeadlineExceeded,
        FaultKind::Throttled | FaultKind::TooLarge | FaultKind::Full => Code::ResourceExhausted,
        FaultKind::Rejected | FaultKind::Malformed => Code::InvalidArgument,
        FaultKind::Denied => Code::PermissionDenied,
        FaultKind::NotFound => Code::NotFound,
        FaultKind::Conflict => Code::Aborted,
        FaultKind::Unsupported => Code::Unimplemented,
        FaultKind::Internal => Code::Internal,
    }
}

/// The stored value is not the one that the caller knows.
pub(super) fn etag_mismatch() -> Status {
    etag(Code::FailedPrecondition, "the stored value is not the one that the etag names")
}

/// An etag that this store never gave out.
pub(super) fn etag_invalid(value: &str) -> Status {
    etag(Code::InvalidArgument, &format!("{value:?} is no etag of this store"))
}

/// daprd reads an etag error from exactly one detail with exactly one violation of this field.
fn etag(code: Code, message: &str) -> Status {
    let violation = rpc::bad_request::FieldViolation { field: ETAG.to_owned(), description: message.to_owned() };
    detailed(code, message, "BadRequest", &rpc::BadRequest { field_violations: vec![violation] })
}

/// Not all rows of a bulk delete were what the caller expected.
pub(super) fn rows_mismatch(expected: usize, affected: usize) -> Status {
    let message = "rows were changed meanwhile";
    let metadata = [("expected", expected), ("affected", affected)];
    let metadata = metadata.map(|(key, count)| (key.to_owned(), count.to_string())).into();
    let info = rpc::ErrorInfo { reason: "ROWS_MISMATCH".to_owned(), domain: "penstock".to_owned(), metadata };
    detailed(Code::Internal, message, "ErrorInfo", &info)
}

/// A status with one detail, the message `name` of `google.rpc`.
fn detailed(code: Code, message: &str, name: &str, detail: &impl Message) -> Status {
    let type_url = format!("type.googleapis.com/google.rpc.{name}");
    let detail = prost_types::Any { type_url, value: detail.encode_to_vec() };
    let status = rpc::Status { code: code as i32, message: message.to_owned(), details: vec![detail] };
    Status::with_details(code, message, Bytes::from(status.encode_to_vec()))
}
