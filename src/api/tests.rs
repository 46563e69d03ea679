use std::time::Duration;

use kube::CustomResourceExt;

use super::any::IntOrText;
use super::*;

#[test]
fn durations_of_both_forms_mean_the_same() {
    let check = |text: &str, expected: Duration| assert_eq!(duration::parse(text), Ok(expected), "{text}");
    check("10s", Duration::from_secs(10));
    check("PT10S", Duration::from_secs(10));
    check("1h30m", Duration::from_secs(5400));
    check("200ms", Duration::from_millis(200));
    check("PT0.2S", Duration::from_millis(200));
    check("1.5s", Duration::from_millis(1500));
    check("P1DT1H", Duration::from_secs(25 * 3600));
    check("168h", Duration::from_secs(168 * 3600));
    check("0", Duration::ZERO);
}

#[test]
fn what_is_no_duration_is_refused_with_examples() {
    for bad in ["", "10", "s", "-1s", "1y", "PT", "P1Y", "-PT1S", "1 s", "1e400s", "10s!", "999999999h"] {
        let error = duration::parse(bad).unwrap_err();
        assert!(error.contains("write it like"), "{bad:?}: {error}");
    }
    assert_eq!(duration::parse_or_nanos(&IntOrText::Int(1_500_000_000)), Ok(Duration::from_millis(1500)));
    assert!(duration::parse_or_nanos(&IntOrText::Int(-1)).is_err());
}

#[test]
fn sizes_are_kubernetes_quantities() {
    let check = |text: &str| quantity::parse(&IntOrText::Text(text.to_owned()));
    assert_eq!(check("1Mi"), Ok(1 << 20));
    assert_eq!(check("10Gi"), Ok(10 << 30));
    assert_eq!(check("5k"), Ok(5000));
    assert_eq!(quantity::parse(&IntOrText::Int(7)), Ok(7));
    for bad in ["", "Mi", "1.5Mi", "-1", "1mb", "99999999999Ti"] {
        assert!(check(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn every_kind_has_a_crd_of_the_group() {
    for crd in [
        event_source::EventSource::crd(),
        event_bus::EventBus::crd(),
        event_bus::ClusterEventBus::crd(),
        trigger::Trigger::crd(),
    ] {
        assert_eq!(crd.spec.group, GROUP);
        assert_eq!(crd.spec.versions[0].name, VERSION);
    }
}

#[test]
fn a_plain_secret_is_never_shown() {
    let secret: SecretValue = serde_json::from_str("\"hunter2\"").unwrap();
    assert!(!format!("{secret:?}").contains("hunter2"));
}
