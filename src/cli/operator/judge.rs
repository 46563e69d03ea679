//! Judges objects of a cluster as `penstock check` judges files.

use serde_json::Value as Json;

use crate::api::secret::Unresolved;
use crate::cli::report::{Finding, Severity};
use crate::cli::{check, documents};
use crate::operator::{Findings, Judge};

/// Everything that `penstock check` knows.
pub struct Checks;

impl Judge for Checks {
    fn judge(&self, object: &Json, bus: Option<&Json>) -> Findings {
        let own = documents::label(object);
        // Its bus tells what it inherits; what is wrong with that is told elsewhere.
        let values = bus.into_iter().chain([object]).cloned();
        let (documents, mut report) = documents::of_values(values);
        check::judge(&documents, check::Access::Daprd, &Unresolved, &mut report);
        let mut findings = Findings::default();
        for finding in report.findings().into_iter().filter(|finding| finding.object == own) {
            let text = text(finding);
            match finding.severity {
                Severity::Error => findings.errors.push(text),
                // This is a cluster, and it is known which namespaces there are.
                Severity::Warning if finding.path == "spec.workload" => {}
                Severity::Unsupported if finding.path == "spec.allowedNamespaces.from" => {}
                Severity::Warning => findings.warnings.push(text),
                Severity::Unsupported => findings.unsupported.push(text),
            }
        }
        findings
    }
}

fn text(finding: &Finding) -> String {
    let help = finding.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    match finding.path.as_str() {
        "" => format!("{}{help}", finding.message),
        path => format!("{path}: {}{help}", finding.message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, spec: &Json, bus: Option<&Json>) -> Findings {
        let object = json!({
            "apiVersion": crate::api::API_VERSION, "kind": kind,
            "metadata": {"name": "x", "namespace": (kind != "ClusterEventBus").then_some("default")}, "spec": spec,
        });
        Checks.judge(&object, bus)
    }

    #[test]
    fn an_object_is_judged_as_a_file_is() {
        let found = check("Trigger", &json!({"eventSources": [], "subscribers": [{"sink": {"uri": "ftp://x"}}]}), None);
        assert!(
            found.errors.iter().any(|error| error.starts_with("spec.subscribers[0].sink.uri: unknown scheme")),
            "{found:?}"
        );
        let found = check("EventSource", &json!({"http": {"orders": {"prot": 1}}}), None);
        assert!(found.errors[0].contains("did you mean \"port\"?"), "{found:?}");
    }

    #[test]
    fn what_only_a_cluster_knows_is_no_objection() {
        let selector =
            json!({"jetstream": {"url": "nats://x:4222"}, "allowedNamespaces": {"from": "Selector", "selector": {}}});
        assert_eq!(check("ClusterEventBus", &selector, None), Findings::default());
        let function = json!({"workload": "function", "http": {"orders": {}}});
        assert_eq!(check("EventSource", &function, None), Findings::default());
        let bus = json!({"apiVersion": crate::api::API_VERSION, "kind": "EventBus", "metadata": {"name": "default", "namespace": "default"}, "spec": {}});
        let found = check("EventSource", &json!({"http": {"orders": {}}}), Some(&bus));
        assert_eq!(found, Findings::default(), "what is wrong with the bus is the bus's own matter");
    }

    #[test]
    fn what_only_the_process_that_has_a_bus_open_can_do_is_refused() {
        let input = |name: &str| json!({"name": name, "eventSourceName": "shop", "eventName": name});
        let join = json!({"eventSources": [input("a"), input("b")], "subscribers": [{"sink": {"uri": "http://x"}}]});
        let bus = |spec: Json| json!({"apiVersion": crate::api::API_VERSION, "kind": "EventBus", "metadata": {"name": "default", "namespace": "default"}, "spec": spec});
        let check = |spec: Json| check("Trigger", &join, Some(&bus(spec))).unsupported;
        assert_eq!(check(json!({"redis": {"address": "r:6379"}})), [""; 0]);
        let [refusal] = &check(json!({"kafka": {"brokers": "k:9092"}}))[..] else { panic!("one") };
        assert!(refusal.starts_with("spec.subscribers[0]: joining or gathering events on this bus"), "{refusal}");
    }
}
