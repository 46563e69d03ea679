//! The Deployment of a workload: daprd, which Dapr injects, and one container.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::merge::merge;
use crate::operator::child::{Child, INSTANCE, Owner, labels};
use crate::operator::names;
use crate::operator::resource::{DEPLOYMENT, Resource};

/// The container's name, and so what is called a pluggable component.
pub const CONTAINER: &str = "penstock";

/// The key of the plan in its `ConfigMap`.
pub const PLAN: &str = "plan.json";

/// Where the plan is mounted.
const PLAN_FOLDER: &str = "/etc/penstock";

/// Where schedules keep how far they have come.
const DATA_FOLDER: &str = "/data";

/// The port of metrics and health; 9090 is daprd's.
const ADMIN_PORT: u16 = 9091;

/// A workload.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    pub name: &'a str,
    /// `intake` or `router`.
    pub command: &'static str,
    /// What it serves, such as `eventbus.jetstream`.
    pub kinds: BTreeSet<String>,
    /// Where it listens for webhooks.
    pub ports: BTreeSet<u16>,
    pub image: &'a str,
    /// The account of its own, if it has one.
    pub account: Option<&'a str>,
    pub log_level: Option<&'a str>,
    /// Overrides of the pod template.
    pub template: Option<&'a Json>,
}

impl Workload<'_> {
    /// The Deployment.
    pub fn deployment(&self, owner: &Owner) -> Child {
        let selector = json!({
            "app.kubernetes.io/name": "penstock", INSTANCE: names::label(self.name),
        });
        let mut template = json!({
            "metadata": {"labels": labels(&owner.kind, self.name), "annotations": self.annotations()},
            "spec": {
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [self.container()],
                "volumes": [
                    {"name": "plan", "configMap": {"name": self.name}},
                    {"name": "data", "emptyDir": {}},
                ],
            },
        });
        if let Some(account) = self.account {
            template["spec"]["serviceAccountName"] = account.into();
        }
        if let Some(over) = self.template {
            merge(&mut template, over);
        }
        let spec = json!({"selector": {"matchLabels": selector}, "template": template});
        Child::new(Resource::of(DEPLOYMENT), self.name, owner, self.name, json!({"spec": spec}))
    }

    fn annotations(&self) -> Json {
        let mut annotations = json!({
            "dapr.io/enabled": "true",
            "dapr.io/app-id": self.name,
            "dapr.io/log-as-json": "true",
        });
        if !self.kinds.is_empty() {
            annotations["dapr.io/pluggable-components"] = CONTAINER.into();
        }
        annotations
    }

    /// It stands before daprd, which is put behind it, and the kubelet starts one after the other: with the hook,
    /// daprd is started when the sockets are there.
    fn container(&self) -> Json {
        let mut arguments = vec![self.command.to_owned(), "--plan".to_owned(), format!("{PLAN_FOLDER}/{PLAN}")];
        if !self.kinds.is_empty() {
            let kinds: Vec<&str> = self.kinds.iter().map(String::as_str).collect();
            arguments.extend(["--kind".to_owned(), kinds.join(",")]);
        }
        let mut ports = vec![json!({"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"})];
        for port in &self.ports {
            ports.push(json!({"name": port_name(*port), "containerPort": port, "protocol": "TCP"}));
        }
        let probe = |path: &str| json!({"httpGet": {"path": path, "port": "admin"}});
        json!({
            "name": CONTAINER,
            "image": self.image,
            "args": arguments,
            "env": [
                {"name": "PENSTOCK_ADMIN", "value": format!("0.0.0.0:{ADMIN_PORT}")},
                {"name": "PENSTOCK_BIND", "value": "0.0.0.0"},
                {"name": "PENSTOCK_DATA_DIR", "value": DATA_FOLDER},
                {"name": "PENSTOCK_LOG", "value": level(self.log_level)},
                {"name": "PENSTOCK_LOG_FORMAT", "value": "json"},
            ],
            "ports": ports,
            "lifecycle": {"postStart": {"exec": {"command": ["/penstock", "wait"]}}},
            "livenessProbe": probe("/livez"),
            "readinessProbe": probe("/readyz"),
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
            },
            "volumeMounts": [
                {"name": "plan", "mountPath": PLAN_FOLDER, "readOnly": true},
                {"name": "data", "mountPath": DATA_FOLDER},
            ],
        })
    }
}

/// What a port is called in a pod and in a Service.
pub fn port_name(port: u16) -> String {
    format!("http-{port}")
}

/// A level; `OpenFunction`'s number says how much more than usual.
fn level(written: Option<&str>) -> &str {
    match written {
        None | Some("0" | "1") => "info",
        Some("2" | "3" | "4") => "debug",
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => "trace",
        Some(level) => level,
    }
}
