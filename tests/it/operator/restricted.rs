//! What runs in a cluster needs nothing that the profile `restricted` forbids, and finds in the image what it names.

use kube::api::{Patch, PatchParams, PostParams, ValidationDirective};
use serde_json::{Value as Json, json};

use super::objects::FLOW;
use super::rig::{DEPLOYMENT, EVENT_SOURCE, Kind, Rig, TRIGGER};

const POD: Kind = ("", "v1", "Pod", "pods");
const NETWORK_POLICY: Kind = ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies");

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The objects of a folder of manifests, as kustomize puts them together.
async fn rendered(rig: &Rig, folder: &str) -> Vec<Json> {
    let out = rig.server.kubectl(&["kustomize", &format!("{ROOT}/manifests/{folder}")], "").await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut objects = Vec::new();
    for document in String::from_utf8(out.stdout).unwrap().split("\n---\n") {
        // The definitions of our own kinds are long, and tested elsewhere.
        if document.contains("kind: CustomResourceDefinition") {
            continue;
        }
        let create = ["create", "--dry-run=client", "-o", "json", "-f", "-"];
        let out = rig.server.kubectl(&create, document).await;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        objects.push(serde_json::from_slice(&out.stdout).unwrap());
    }
    objects
}

/// Makes the pod of a template; what admission said against it.
async fn pod(rig: &Rig, name: &str, template: &Json) -> Result<(), String> {
    let mut pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    pod["metadata"]["name"] = name.into();
    let pod = serde_json::from_value(pod).unwrap();
    let made = rig.api(POD).create(&PostParams::default(), &pod).await;
    made.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pod_is_admitted_under_the_restricted_profile() {
    let rig = Rig::new("restricted").await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    let out = rig.server.kubectl(&["label", "namespace", &rig.namespace, label], "").await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let refused =
        pod(&rig, "rude", &json!({"metadata": {}, "spec": {"containers": [{"name": "x", "image": "x"}]}})).await;
    assert!(refused.unwrap_err().contains("violates PodSecurity \"restricted"), "the profile is enforced");

    let _operator = rig.operator().start().await;
    let direct = "metadata: {name: shop}\nspec:\n  sink: {uri: 'http://direct:8080/'}";
    rig.apply(&FLOW.replace("metadata: {name: shop}\nspec:", direct)).await;
    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    for workload in ["eventsource-shop", "sink-shop", "trigger-ship"] {
        let deployment = rig.get(DEPLOYMENT, workload).await;
        pod(&rig, workload, &deployment["spec"]["template"]).await.unwrap();
    }

    // And the operator's own, as kustomize puts it together.
    let own = rendered(&rig, "default").await;
    let own = own.iter().find(|object| object["kind"] == "Deployment").unwrap();
    pod(&rig, "operator", &own["spec"]["template"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_policies_are_taken_and_select_what_is_made() {
    let rig = Rig::new("policies").await;
    let _operator = rig.operator().start().await;
    rig.apply(FLOW).await;
    let policies = rendered(&rig, "network-policy").await;
    assert_eq!(policies.len(), 3);
    for policy in &policies {
        // The example says its namespaces by name.
        let mut policy = policy.clone();
        policy["metadata"]["namespace"] = rig.namespace.as_str().into();
        let mut params = PatchParams::apply("test");
        params.field_validation = Some(ValidationDirective::Strict);
        let name = policy["metadata"]["name"].as_str().unwrap();
        rig.api(NETWORK_POLICY).patch(name, &params, &Patch::Apply(&policy)).await.unwrap();
    }

    rig.says(EVENT_SOURCE, "shop", "Deployed", "False Progressing").await;
    rig.says(TRIGGER, "ship", "Deployed", "False Progressing").await;
    for (policy, expected) in [
        ("penstock-workloads", &["eventsource-shop", "trigger-ship"][..]),
        ("penstock-webhooks", &["eventsource-shop"]),
        ("penstock-operator", &[]),
    ] {
        let policy = policies.iter().find(|known| known["metadata"]["name"] == policy).unwrap();
        let wanted = policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
        let mut selected = Vec::new();
        for workload in ["eventsource-shop", "trigger-ship"] {
            let labels = rig.get(DEPLOYMENT, workload).await["spec"]["template"]["metadata"]["labels"].clone();
            if wanted.iter().all(|(name, value)| labels[name] == *value) {
                selected.push(workload);
            }
        }
        assert_eq!(selected, expected, "{policy}");
    }
}

#[test]
fn the_image_has_what_its_users_name() {
    let dockerfile = std::fs::read_to_string(format!("{ROOT}/Dockerfile")).unwrap();
    let lines = |instruction: &str| -> Vec<Vec<&str>> {
        let found = dockerfile.lines().filter_map(|line| line.strip_prefix(instruction));
        found.map(|line| line.split_whitespace().collect()).collect()
    };
    let [build, last] = lines("FROM ")[..].to_vec().try_into().unwrap_or_else(|from| panic!("{from:?}"));
    // The same Rust as the project asks for.
    let manifest = std::fs::read_to_string(format!("{ROOT}/Cargo.toml")).unwrap();
    let rust = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(build[0].starts_with(&format!("rust:{rust}")), "{build:?}, and the project wants {rust}");
    assert!(last[0].contains("static") && last[0].ends_with(":nonroot"), "{last:?}");

    // What is copied is there: the sources, and what they are built to.
    let copies = lines("COPY ");
    assert_eq!(copies, [vec![".", "."], vec!["--from=build", "/src/target/release/penstock", "/penstock"]]);
    assert_eq!(lines("WORKDIR "), [["/src"]]);
    assert!(dockerfile.contains("RUN cargo build --release --locked && strip target/release/penstock\n"));
    let ignored = std::fs::read_to_string(format!("{ROOT}/.dockerignore")).unwrap();
    for needed in ["Cargo.toml", "Cargo.lock", "build.rs", "src", "proto", "benches"] {
        assert!(std::path::Path::new(ROOT).join(needed).exists(), "{needed}");
        assert!(!ignored.lines().any(|line| line == needed), "{needed}");
    }

    // A user that Kubernetes can see to be none of root, and the path that the workloads run hooks by.
    let user: Vec<u32> = lines("USER ")[0][0].split(':').map(|id| id.parse().unwrap()).collect();
    assert!(user.iter().all(|id| *id >= 10_000), "{user:?}");
    assert_eq!(lines("ENTRYPOINT "), [["[\"/penstock\"]"]]);
}
