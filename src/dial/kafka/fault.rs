//! What the client's errors mean.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::fault::{Fault, FaultKind};

/// The fault of an operation that failed.
pub fn fault(operation: &'static str, error: KafkaError) -> Fault {
    match &error {
        // It would repeat the value, which may be a secret.
        KafkaError::ClientConfig(_, description, key, _) => {
            return Fault::new(FaultKind::Malformed, operation, format!("the client refuses {key}: {description}"));
        }
        KafkaError::ClientCreation(description) => {
            return Fault::new(FaultKind::Malformed, operation, format!("the client refuses: {description}"));
        }
        KafkaError::Canceled => return Fault::new(FaultKind::Closed, operation, "the client is closed"),
        _ => {}
    }
    let (kind, message) = error.rdkafka_error_code().map_or(OTHER, meaning);
    Fault::new(kind, operation, message).with_source(error)
}

/// The fault that a code alone means.
pub fn coded(operation: &'static str, code: RDKafkaErrorCode) -> Fault {
    let (kind, message) = meaning(code);
    Fault::new(kind, operation, message).with_source(code)
}

/// Whether the login or TLS failed: with a broker that took them before, a passing trouble.
pub fn is_login(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let codes = [Code::Authentication, Code::SaslAuthenticationFailed, Code::SSL];
    error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

const OTHER: (FaultKind, &str) = (FaultKind::Unavailable, "the client complains");

fn meaning(code: RDKafkaErrorCode) -> (FaultKind, &'static str) {
    use RDKafkaErrorCode as Code;
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed => (FaultKind::Denied, "the broker refuses the login"),
        Code::UnsupportedSASLMechanism | Code::IllegalSASLState => {
            (FaultKind::Denied, "the broker does not take this kind of login")
        }
        // Certificates that do not fit will not fit the next time either.
        Code::SSL => (FaultKind::Denied, "TLS cannot be agreed on"),
        Code::TopicAuthorizationFailed => (FaultKind::Denied, "the broker does not permit it for this topic"),
        Code::GroupAuthorizationFailed => (FaultKind::Denied, "the broker does not permit it for this group"),
        Code::ClusterAuthorizationFailed | Code::TransactionalIdAuthorizationFailed => {
            (FaultKind::Denied, "the broker does not permit it")
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            (FaultKind::NotFound, "the topic is not there")
        }
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            (FaultKind::TooLarge, "the message is larger than the broker takes")
        }
        Code::QueueFull => (FaultKind::Throttled, "too many messages wait for the broker"),
        Code::MessageTimedOut | Code::OperationTimedOut | Code::RequestTimedOut => {
            (FaultKind::Timeout, "the brokers do not answer")
        }
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve => {
            (FaultKind::Unavailable, "no broker can be reached")
        }
        Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::PolicyViolation
        | Code::InconsistentGroupProtocol => (FaultKind::Rejected, "the broker refuses"),
        Code::TopicAlreadyExists => (FaultKind::Conflict, "it is there already"),
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch => {
            (FaultKind::Conflict, "another process has taken over")
        }
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_kind_that_callers_act_on() {
        for (code, kind, retryable) in [
            (RDKafkaErrorCode::Authentication, FaultKind::Denied, false),
            (RDKafkaErrorCode::SSL, FaultKind::Denied, false),
            (RDKafkaErrorCode::AllBrokersDown, FaultKind::Unavailable, true),
            (RDKafkaErrorCode::MessageTimedOut, FaultKind::Timeout, true),
            (RDKafkaErrorCode::MessageSizeTooLarge, FaultKind::TooLarge, false),
            (RDKafkaErrorCode::LeaderNotAvailable, FaultKind::Unavailable, true),
        ] {
            let fault = fault("call", KafkaError::Global(code));
            assert_eq!((fault.kind(), fault.is_retryable()), (kind, retryable), "{code:?}");
        }
    }

    #[test]
    fn a_setting_that_is_refused_is_named_without_its_value() {
        let mut settings = rdkafka::ClientConfig::new();
        settings.set("session.timeout.ms", "hunter2");
        let refused = settings.create_native_config().err().unwrap();
        let fault = fault("connect", refused);
        assert!(fault.chain().contains("session.timeout.ms"), "{}", fault.chain());
        assert!(!fault.message().contains("value \"hunter2\" hunter2"));
        assert_eq!(fault.kind(), FaultKind::Malformed);
    }
}
