//! The custom resource definitions of a cluster: our own, and those of the projects that Penstock works with.
//!
//! Dapr's, KEDA's, the KEDA HTTP add-on's and Knative Serving's are the published ones, which `make tools` brings.
//! `OpenFunction` publishes no Go module: its Function is a definition of our own beside this file, with the fields
//! of its release that Penstock writes or reads.

use std::fs;
use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::Api;

use super::{eventually, tools};

/// The definitions of `penstock crd`.
const OWN: &str = include_str!("../../../manifests/crd/events.openfunction.io.yaml");
const FUNCTION: &str = include_str!("crds/openfunction.yaml");

/// Whose definitions there are, as the folders that `make tools` makes; each with a version.
const FOREIGN: [&str; 4] = ["dapr-1.18.1", "keda-2.20.2", "keda-http-0.15.0", "knative-serving-0.48.0"];

/// Applies the definitions of `penstock crd`, and waits until they are served.
pub async fn apply_own_crds(client: &Client) {
    apply(client, [OWN.to_owned()]).await;
}

/// Applies those of Dapr, KEDA, its HTTP add-on, Knative Serving and `OpenFunction`, and waits until they are served.
pub async fn apply_foreign_crds(client: &Client) {
    let mut texts = vec![FUNCTION.to_owned()];
    for folder in FOREIGN {
        texts.extend(foreign(folder));
    }
    apply(client, texts).await;
}

fn foreign(folder: &str) -> Vec<String> {
    let folder = tools().join("crds").join(folder);
    assert!(folder.exists(), "{} is missing: run `make tools`", folder.display());
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    fs::read_dir(folder).unwrap().map(|entry| read(&entry.unwrap().path())).collect()
}

/// Applies each document of the texts. The API server reads YAML, so nobody here has to.
async fn apply(client: &Client, texts: impl IntoIterator<Item = String>) {
    let mut names = Vec::new();
    for text in texts {
        for document in text.split("\n---").filter(|document| document.contains("kind: CustomResourceDefinition")) {
            let name = document.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap().trim().to_owned();
            let uri =
                format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}?fieldManager=it&force=true");
            let request = http::Request::patch(uri).header("content-type", "application/apply-patch+yaml");
            let request = request.body(document.trim_start_matches("---").as_bytes().to_vec()).unwrap();
            let applied = client.request::<CustomResourceDefinition>(request).await;
            assert!(applied.is_ok(), "{name}: {applied:?}");
            names.push(name);
        }
    }
    assert!(!names.is_empty(), "no definitions were found");
    let all: Api<CustomResourceDefinition> = Api::all(client.clone());
    for name in names {
        eventually(&format!("{name} is served"), || async {
            let conditions = all.get(&name).await.unwrap().status.and_then(|status| status.conditions);
            conditions.into_iter().flatten().any(|known| known.type_ == "Established" && known.status == "True")
        })
        .await;
    }
}
