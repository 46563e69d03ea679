//! A namespace of a real API server, and an operator that looks after it.

use std::sync::Arc;

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::{ADMIN, ApiServer, Client as Http, Penstock, Run, apply_foreign_crds, apply_own_crds, eventually};

/// Group, version, kind, plural.
pub type Kind = (&'static str, &'static str, &'static str, &'static str);

pub const EVENT_SOURCE: Kind = ("events.openfunction.io", "v1alpha1", "EventSource", "eventsources");
pub const EVENT_BUS: Kind = ("events.openfunction.io", "v1alpha1", "EventBus", "eventbus");
pub const TRIGGER: Kind = ("events.openfunction.io", "v1alpha1", "Trigger", "triggers");
pub const COMPONENT: Kind = ("dapr.io", "v1alpha1", "Component", "components");
pub const CONFIG_MAP: Kind = ("", "v1", "ConfigMap", "configmaps");
pub const SERVICE: Kind = ("", "v1", "Service", "services");
pub const DEPLOYMENT: Kind = ("apps", "v1", "Deployment", "deployments");

pub const SCALED_OBJECT: Kind = ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects");
pub const TRIGGER_AUTHENTICATION: Kind = ("keda.sh", "v1alpha1", "TriggerAuthentication", "triggerauthentications");

/// Everything that the operator makes.
pub const CHILDREN: [Kind; 6] = [COMPONENT, CONFIG_MAP, SERVICE, DEPLOYMENT, SCALED_OBJECT, TRIGGER_AUTHENTICATION];

pub struct Rig {
    pub server: Arc<ApiServer>,
    pub client: Client,
    pub namespace: String,
    pub folder: TempDir,
}

impl Rig {
    /// A namespace on the API server that tests share.
    pub async fn new(name: &str) -> Self {
        let rig = Self::on(ApiServer::shared().await, name).await;
        apply_foreign_crds(&rig.client).await;
        rig
    }

    /// A namespace on a server; Dapr's definitions are not there yet.
    pub async fn on(server: Arc<ApiServer>, name: &str) -> Self {
        let client = server.client(ADMIN).await;
        apply_own_crds(&client).await;
        let namespace = server.namespace(name).await;
        Self { server, client, namespace, folder: tempfile::tempdir().unwrap() }
    }

    /// An operator that looks after the namespace.
    pub fn operator(&self) -> Run {
        self.operator_through(self.server.port)
    }

    /// The same, which sees the API server through another port.
    pub fn operator_through(&self, port: u16) -> Run {
        let kubeconfig = self.server.kubeconfig_through(port, ADMIN);
        Run::command::<std::ffi::OsString>(
            ["operator".into(), "--kubeconfig".into(), kubeconfig.into_os_string()],
            self.folder.path(),
        )
        .with(["--namespace", self.namespace.as_str(), "--image", "example/penstock:test"])
    }

    /// `kubectl apply`.
    pub async fn apply(&self, yaml: &str) {
        let out = self.server.kubectl(&["apply", "-n", &self.namespace, "-f", "-"], yaml).await;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    pub fn api(&self, (group, version, kind, plural): Kind) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind)
    }

    pub async fn find(&self, kind: Kind, name: &str) -> Option<Json> {
        self.api(kind).get_opt(name).await.unwrap().map(|object| json!(object))
    }

    pub async fn get(&self, kind: Kind, name: &str) -> Json {
        self.find(kind, name).await.unwrap_or_else(|| panic!("there is no {} {name}", kind.2))
    }

    /// The names of all objects of a kind, but for what every namespace has.
    pub async fn names(&self, kind: Kind) -> Vec<String> {
        let all = self.api(kind).list(&kube::api::ListParams::default()).await.unwrap();
        let mut names: Vec<String> = all.items.into_iter().filter_map(|object| object.metadata.name).collect();
        names.retain(|name| name != "kube-root-ca.crt");
        names.sort();
        names
    }

    pub async fn delete(&self, kind: Kind, name: &str) {
        self.api(kind).delete(name, &kube::api::DeleteParams::default()).await.unwrap();
    }

    /// The plan of a workload.
    pub async fn plan(&self, workload: &str) -> Json {
        let map = self.get(CONFIG_MAP, workload).await;
        serde_json::from_str(map["data"]["plan.json"].as_str().unwrap()).unwrap()
    }

    /// A condition of an object, as `status reason`.
    pub async fn condition(&self, kind: Kind, name: &str, concern: &str) -> (String, String) {
        let object = self.get(kind, name).await;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.into_iter().find(|known| known["type"] == concern).unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (format!("{} {}", text("status"), text("reason")), text("message"))
    }

    /// Waits until a condition says so; its message.
    pub async fn says(&self, kind: Kind, name: &str, concern: &str, expected: &str) -> String {
        let what = format!("{} {name}: {concern} is {expected}", kind.2);
        eventually(&what, || async { self.condition(kind, name, concern).await.0 == expected }).await;
        self.condition(kind, name, concern).await.1
    }

    /// Says what the cluster's controllers would: that a Deployment has a pod that is ready.
    pub async fn pretend_available(&self, deployment: &str) {
        let status =
            json!({"status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}});
        let api = self.api(DEPLOYMENT);
        api.patch_status(deployment, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    }

    /// Everything that the operator made, as it is on the server.
    pub async fn children(&self) -> Vec<Json> {
        let mut children = Vec::new();
        for kind in CHILDREN {
            for name in self.names(kind).await {
                children.push(self.get(kind, &name).await);
            }
        }
        children
    }
}

/// The number of requests that write, as the operator counts them.
pub async fn writes(operator: &Penstock) -> u64 {
    let metrics = Http::new().get(&operator.admin("/metrics")).await.unwrap().body;
    let lines = metrics.lines().filter(|line| line.starts_with("penstock_operator_writes_total"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Waits until nothing is left to look at; how often it has written.
pub async fn settled(operator: &Penstock) -> u64 {
    eventually("the operator has nothing left to look at", || is_quiet(operator)).await;
    writes(operator).await
}

/// Whether nothing is left to look at.
pub async fn is_quiet(operator: &Penstock) -> bool {
    let metrics = Http::new().get(&operator.admin("/metrics")).await.unwrap().body;
    metrics.lines().any(|line| line == "penstock_operator_queue 0")
}
