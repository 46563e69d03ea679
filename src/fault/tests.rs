use super::*;

#[test]
fn display_states_this_layer_and_chain_the_causes() {
    let inner = Fault::new(FaultKind::Unavailable, "connect", "connection refused");
    let fault = Fault::new(FaultKind::Unavailable, "publish", "the bus is down")
        .with_context("topic", "shop")
        .with_context("attempt", "2")
        .with_source(inner);
    assert_eq!(fault.to_string(), "failed to publish: the bus is down (topic shop, attempt 2)");
    assert_eq!(
        fault.chain(),
        "failed to publish: the bus is down (topic shop, attempt 2): failed to connect: connection refused"
    );
}

#[test]
fn the_kind_decides_on_retry_unless_told_otherwise() {
    assert!(Fault::new(FaultKind::Timeout, "deliver", "").is_retryable());
    assert!(!Fault::new(FaultKind::Rejected, "deliver", "").is_retryable());
    let told = Fault::new(FaultKind::Rejected, "deliver", "").with_retry(Retry::After(Duration::from_secs(3)));
    assert_eq!(told.retry(), Retry::After(Duration::from_secs(3)));
}
