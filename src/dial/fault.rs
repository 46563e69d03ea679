//! What the client's errors mean.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::fault::{Fault, FaultKind};

/// The fault of a call that failed.
pub fn fault(operation: &'static str, error: RedisError) -> Fault {
    let (kind, message) = meaning(&error);
    Fault::new(kind, operation, message).with_source(error)
}

fn meaning(error: &RedisError) -> (FaultKind, &'static str) {
    match error.code().unwrap_or_default() {
        "WRONGPASS" | "NOAUTH" => return (FaultKind::Denied, "the server refuses the login"),
        "NOPERM" => return (FaultKind::Denied, "the server does not permit it"),
        "OOM" => return (FaultKind::Full, "the server has no memory left"),
        "MISCONF" => return (FaultKind::Full, "the server cannot write to its disk"),
        "NOGROUP" => return (FaultKind::NotFound, "the consumer group is not there"),
        "BUSYGROUP" => return (FaultKind::Conflict, "the consumer group is there already"),
        "BUSY" => return (FaultKind::Unavailable, "the server is busy with a script"),
        "NOREPLICAS" => return (FaultKind::Unavailable, "the server has too few replicas"),
        "WRONGTYPE" => return (FaultKind::Rejected, "a key holds something else"),
        _ => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => (FaultKind::Denied, "the server refuses the login"),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => (FaultKind::Unavailable, "the server cannot serve at the moment"),
        ErrorKind::Io if error.is_timeout() => (FaultKind::Timeout, "the server does not answer"),
        ErrorKind::Io => (FaultKind::Unavailable, "the server cannot be reached"),
        ErrorKind::ClusterConnectionNotFound => (FaultKind::Unavailable, "no server of the cluster can be reached"),
        ErrorKind::MasterNameNotFoundBySentinel => (FaultKind::Unavailable, "the sentinels know no such master"),
        ErrorKind::NoValidReplicasFoundBySentinel => (FaultKind::Unavailable, "the sentinels name no server"),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            (FaultKind::Malformed, "the server's answer cannot be read")
        }
        _ => (FaultKind::Rejected, "the server refuses"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_kind_that_callers_act_on() {
        let io = |kind| RedisError::from(std::io::Error::from(kind));
        for (error, kind, retryable) in [
            (io(std::io::ErrorKind::ConnectionRefused), FaultKind::Unavailable, true),
            (io(std::io::ErrorKind::TimedOut), FaultKind::Timeout, true),
            ((ErrorKind::AuthenticationFailed, "x").into(), FaultKind::Denied, false),
            ((ErrorKind::Server(ServerErrorKind::BusyLoading), "x").into(), FaultKind::Unavailable, true),
            ((ErrorKind::Server(ServerErrorKind::ReadOnly), "x").into(), FaultKind::Unavailable, true),
            ((ErrorKind::Server(ServerErrorKind::NoPerm), "x").into(), FaultKind::Denied, false),
            ((ErrorKind::Server(ServerErrorKind::ResponseError), "x").into(), FaultKind::Rejected, false),
            (redis::make_extension_error("OOM".into(), None), FaultKind::Full, true),
            (redis::make_extension_error("MISCONF".into(), None), FaultKind::Full, true),
            (redis::make_extension_error("WRONGPASS".into(), None), FaultKind::Denied, false),
            (redis::make_extension_error("NOGROUP".into(), None), FaultKind::NotFound, true),
        ] {
            let text = error.to_string();
            let fault = fault("call", error);
            assert_eq!((fault.kind(), fault.is_retryable()), (kind, retryable), "{text}");
        }
    }
}
