//! What `kubectl apply -k manifests/default` installs suffices, and grants nothing more than it must.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};

use super::objects::FLOW;
use super::rig::{EVENT_BUS, EVENT_SOURCE, Rig, TRIGGER, settled};
use crate::support::{ApiServer, Run, apply_foreign_crds, eventually};

/// Where everything is installed.
const HOME: &str = "penstock-system";

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_everything_with_what_its_account_may() {
    let server = Arc::new(ApiServer::start().await);
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/default");
    let out = server.kubectl(&["apply", "-k", manifests], "").await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let token = server.account_token(HOME, "penstock-operator").await;
    let rig = Rig::on(server, "tenant").await;
    apply_foreign_crds(&rig.client).await;
    let words = ["operator".into(), "--kubeconfig".into(), rig.server.kubeconfig(&token).into_os_string()];
    let run = Run::command::<std::ffi::OsString>(words, rig.folder.path());
    let operator = run.with(["--lease-namespace", HOME, "--identity", "one"]).start().await;

    // A bus of the cluster, for those whom it lets in.
    let clusters = FLOW.replacen("kind: EventBus", "kind: ClusterEventBus", 1).replacen(
        "spec: {",
        "spec: {allowedNamespaces: {from: Selector, selector: {matchLabels: {team: a}}}, ",
        1,
    );
    rig.apply(&clusters).await;
    let message = rig.says(TRIGGER, "ship", "BusReady", "False NotAllowed").await;
    assert!(message.ends_with("its labels are not selected"), "{message}");
    let out = rig.server.kubectl(&["label", "namespace", &rig.namespace, "team=a"], "").await;
    assert!(out.status.success());
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.pretend_available("trigger-ship").await;
    rig.says(TRIGGER, "ship", "Ready", "True Available").await;

    // Plain secrets, Functions, and back.
    let plain = FLOW.replace("  cron:\n", "  redis:\n    r: {redisHost: 'r:6379', redisPassword: hidden}\n  cron:\n");
    rig.apply(&plain.replace("\nspec:\n", "\nspec:\n  workload: function\n")).await;
    eventually("a Function has its Secret", || async {
        let secrets = rig.names(("", "v1", "Secret", "secrets")).await;
        let functions = rig.names(("core.openfunction.io", "v1beta2", "Function", "functions")).await;
        secrets.iter().any(|name| name.starts_with("eventsource-shop.r-"))
            && functions == ["eventsource-shop-fn", "trigger-ship-fn"]
    })
    .await;

    // The namespace's own bus comes before it. A shared router, a sink of every kind, and back.
    rig.apply(FLOW).await;
    eventually("the own bus is used", || async {
        rig.plan("trigger-ship").await["eventBus"]["namespace"] == rig.namespace.as_str()
    })
    .await;
    let shared = FLOW.replace("metadata: {name: ship}\nspec:", "metadata: {name: ship}\nspec:\n  mode: shared");
    for sink in [
        "{apiVersion: v1, kind: Service, name: fn}",
        "{apiVersion: serving.knative.dev/v1, kind: Service, name: fn}",
        "{apiVersion: core.openfunction.io/v1beta2, kind: Function, name: fn}",
        "{apiVersion: dapr.io/v1alpha1, kind: Component, name: fn}",
        "{apiVersion: http.keda.sh/v1alpha1, kind: HTTPScaledObject, name: fn}",
        "{apiVersion: http.keda.sh/v1beta1, kind: InterceptorRoute, name: fn}",
    ] {
        rig.apply(&shared.replace("sink: {uri: 'http://ship:8080/'}", &format!("ref: {sink}"))).await;
        let kind = sink.split(", ").nth(1).unwrap().trim_start_matches("kind: ");
        eventually(&format!("{sink} is looked for"), || async {
            let (said, why) = rig.condition(TRIGGER, "ship", "SinksResolved").await;
            said == "False Unresolved" && why.contains(kind) && why.ends_with("there is none")
        })
        .await;
    }
    // A kind that nothing is granted for is told.
    let other = "{apiVersion: eventing.example/v1, kind: Broker, name: b}";
    rig.apply(&shared.replace("sink: {uri: 'http://ship:8080/'}", &format!("ref: {other}"))).await;
    eventually("a kind that is not there is told", || async {
        rig.condition(TRIGGER, "ship", "SinksResolved").await.1.ends_with("the cluster has no such kind")
    })
    .await;
    rig.apply(FLOW).await;
    eventually("the shared router is gone", || async {
        !rig.names(super::rig::DEPLOYMENT).await.contains(&"router-default".to_owned())
    })
    .await;
    settled(&operator).await;
    rig.delete(EVENT_BUS, "default").await;
    rig.says(EVENT_BUS, "default", "Released", "False InUse").await;
    rig.delete(TRIGGER, "ship").await;
    rig.delete(EVENT_SOURCE, "shop").await;
    eventually("the bus is released", || async { rig.find(EVENT_BUS, "default").await.is_none() }).await;
    settled(&operator).await;

    let log = operator.log();
    for word in ["orbidden", "cannot be written", "tried again"] {
        assert!(!log.contains(word), "{log}");
    }
    let events = rig.server.kubectl(&["get", "events.events.k8s.io", "-n", &rig.namespace, "-o", "name"], "").await;
    assert!(!events.stdout.is_empty(), "there are Events");
    // It grants what it may do itself, and no more; RBAC sees to that.
    let watching = |kind: &str| {
        let api = "apiVersion: events.openfunction.io/v1alpha1, kind: EventSource, metadata: {name: look}";
        format!("{{{api}, spec: {{kubernetes: {{it: {{apiVersion: v1, kind: {kind}}}}}}}}}")
    };
    rig.apply(&FLOW[..FLOW.find("---").unwrap()]).await;
    rig.apply(&watching("ConfigMap")).await;
    rig.says(EVENT_SOURCE, "look", "Deployed", "False Progressing").await;
    rig.apply(&watching("Secret")).await;
    let message = rig.says(EVENT_SOURCE, "look", "Deployed", "False ApplyFailed").await;
    assert!(message.contains("attempting to grant RBAC permissions not currently held"), "{message}");
    // It gives its lease back.
    assert_eq!(operator.stop().await, Some(0));
    let lease = rig
        .server
        .kubectl(&["get", "lease", "penstock-operator", "-n", HOME, "-o", "jsonpath={.spec.holderIdentity}"], "")
        .await;
    assert_eq!(String::from_utf8_lossy(&lease.stdout), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_one_namespace_does_everything_there_and_sees_nothing_else() {
    let rig = Rig::new("alone").await;
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/namespaced");
    let out = rig.server.kubectl(&["kustomize", manifests], "").await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let all =
        String::from_utf8(out.stdout).unwrap().replace("namespace: shop", &format!("namespace: {}", rig.namespace));
    let named = |line: &&str| line.trim_start().starts_with("namespace: ") && !line.ends_with(&rig.namespace);
    assert_eq!(all.lines().find(named), None);
    // The definitions are there.
    let parts = all.split("\n---\n").filter(|part| !part.contains("kind: CustomResourceDefinition"));
    let own = parts.collect::<Vec<_>>().join("\n---\n");
    assert!(!own.contains("kind: ClusterRoleBinding") && !own.contains("kind: Namespace\n"), "{own}");
    rig.apply(&own).await;
    let deployment = rig.get(super::rig::DEPLOYMENT, "penstock-operator").await;
    let told = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().iter();
    let told = told.filter(|known| known["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace");
    let told: Vec<&str> = told.map(|known| known["name"].as_str().unwrap()).collect();
    assert_eq!(told, ["PENSTOCK_NAMESPACES", "POD_NAMESPACE"]);

    let token = rig.server.account_token(&rig.namespace, "penstock-operator").await;
    let (client, list) = (rig.server.client(&token).await, ListParams::default());
    let maps = |namespace: &str| Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let leases: Api<Lease> = Api::namespaced(client.clone(), &rig.namespace);
    eventually("the API server knows the roles", || async {
        maps(&rig.namespace).list(&list).await.is_ok() && leases.get_opt("penstock-operator").await.is_ok()
    })
    .await;
    let words = ["operator".into(), "--kubeconfig".into(), rig.server.kubeconfig(&token).into_os_string()];
    let run = Run::command::<std::ffi::OsString>(words, rig.folder.path());
    let run = run.env("PENSTOCK_NAMESPACES", rig.namespace.as_str()).env("POD_NAMESPACE", rig.namespace.as_str());
    let operator = run.start().await;
    rig.apply(&FLOW.replace("  cron:\n", "  kubernetes:\n    maps: {apiVersion: v1, kind: ConfigMap}\n  cron:\n"))
        .await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.pretend_available("trigger-ship").await;
    rig.says(TRIGGER, "ship", "Ready", "True Available").await;
    rig.delete(TRIGGER, "ship").await;
    eventually("the bus counts who uses it", || async {
        rig.get(EVENT_BUS, "default").await["status"]["usedBy"] == serde_json::json!({"eventSources": 1, "triggers": 0})
    })
    .await;
    settled(&operator).await;
    let log = operator.log();
    for word in ["orbidden", "cannot be", "tried again"] {
        assert!(!log.contains(word), "{log}");
    }
    assert!(maps("default").list(&list).await.is_err());
    assert_eq!(operator.stop().await, Some(0));
}

#[test]
fn no_rule_is_wider_than_what_is_used() {
    let role = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/rbac/role.yaml")).unwrap();
    assert!(!role.contains('*'), "{role}");
    // It can make Secrets, and do nothing else with any.
    let (_, of_secrets) = role.split_once("resources: [secrets]\n").unwrap();
    assert_eq!(of_secrets.lines().next().unwrap().trim(), "verbs: [create]");
    assert_eq!(role.matches("[secrets]").count(), 1);
}
