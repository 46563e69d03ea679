//! A pod as a node would run it: the container's command and daprd as processes, with exactly the template, the
//! plan and the Components that stand on the API server.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::Value as Json;

use super::rig::{COMPONENT, CONFIG_MAP, DEPLOYMENT, Rig};
use crate::support::{Daprd, Penstock, Process, Run, eventually};

pub struct Pod<'a> {
    rig: &'a Rig,
    workload: String,
    pub folder: PathBuf,
    pub template: Json,
    pub penstock: Penstock,
    _daprd: Process,
}

impl<'a> Pod<'a> {
    /// Starts the one pod of a Deployment.
    pub async fn start(rig: &'a Rig, workload: &str) -> Self {
        Self::of(rig, workload, rig.get(DEPLOYMENT, workload).await["spec"]["template"].clone()).await
    }

    /// Starts a pod of a template.
    pub async fn of(rig: &'a Rig, workload: &str, template: Json) -> Self {
        let folder = rig.folder.path().join(workload);
        let annotations = &template["metadata"]["annotations"];
        let [container] = template["spec"]["containers"].as_array().unwrap().as_slice() else { panic!("{template}") };
        assert_eq!(annotations["dapr.io/enabled"], "true");
        // Dapr's injector mounts the folder of the sockets into the containers that are named here.
        assert_eq!(annotations["dapr.io/pluggable-components"], container["name"]);
        mount(rig, &template, &folder).await;

        let app = annotations["dapr.io/app-id"].as_str().unwrap();
        let sockets = rig.folder.path().join(format!("s{}", workload.len()));
        // With a port, daprd waits until somebody listens there, and nobody does.
        assert!(matches!(annotations["dapr.io/app-port"].as_str(), None | Some("0")));
        let daprd = Daprd::new(&folder.join("resources"), &sockets).app_id(app);
        for name in rig.names(COMPONENT).await {
            let mut component = rig.get(COMPONENT, &name).await;
            // Dapr's operator hands out what is in scope.
            if component["scopes"].as_array().unwrap().iter().any(|scope| scope == app) {
                component["metadata"] = serde_json::json!({"name": name});
                resolve(rig, &mut component).await;
                daprd.resource(&name.replace('.', "_"), &component.to_string());
            }
        }
        let place = |text: &str| placed(text, container, &folder);
        let arguments: Vec<String> =
            container["args"].as_array().unwrap().iter().map(|argument| place(argument.as_str().unwrap())).collect();
        let mut run = Run::command(&arguments, &folder)
            .env("DAPR_COMPONENT_SOCKETS_FOLDER", sockets.display().to_string())
            .env("DAPR_GRPC_PORT", daprd.grpc_port().to_string());
        for variable in container["env"].as_array().unwrap() {
            let name: &'static str = variable["name"].as_str().unwrap().to_owned().leak();
            // Pods have addresses of their own, and so the same ports.
            if name != "PENSTOCK_ADMIN" {
                run = run.env(name, place(variable["value"].as_str().unwrap()));
            }
        }
        // What a pod has of its account is a file, too.
        if let Some(account) = template["spec"]["serviceAccountName"].as_str() {
            let token = rig.server.account_token(&rig.namespace, account).await;
            run = run.env("KUBECONFIG", rig.server.kubeconfig(&token).display().to_string());
        }
        let penstock = run.spawn();
        // The kubelet starts the next container when the hook of this one is over.
        let hook = container["lifecycle"]["postStart"]["exec"]["command"].as_array().unwrap();
        let hook: Vec<&str> = hook.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(hook, ["/penstock", "wait"]);
        let admin = penstock.admin("").replace("http://", "");
        let out = crate::support::output(["wait", "--admin", &admin]).await;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let daprd = daprd.start().await;
        let pod = Self { rig, workload: workload.to_owned(), folder, template, penstock, _daprd: daprd };
        pod.is_ready().await;
        pod
    }

    /// The readiness probe.
    pub async fn is_ready(&self) {
        let probe = &self.template["spec"]["containers"][0]["readinessProbe"]["httpGet"];
        assert_eq!(probe["port"], "admin");
        let address = self.penstock.admin(probe["path"].as_str().unwrap());
        let client = crate::support::Client::new();
        eventually("the pod is ready", || async { client.get(&address).await.is_ok_and(|answer| answer.code == 200) })
            .await;
    }

    /// Brings mounted volumes up to date, as the kubelet does after a while.
    pub async fn sync(&self) {
        mount(self.rig, &self.template, &self.folder).await;
        assert!(self.penstock.log().contains("the plan is applied"), "{}", self.workload);
    }
}

/// Puts the values of Secrets into a Component, as Dapr's operator does.
async fn resolve(rig: &Rig, component: &mut Json) {
    let secrets: Api<Secret> = Api::namespaced(rig.client.clone(), &rig.namespace);
    for entry in component["spec"]["metadata"].as_array_mut().unwrap() {
        let entry = entry.as_object_mut().unwrap();
        let Some(reference) = entry.remove("secretKeyRef") else { continue };
        let secret = secrets.get(reference["name"].as_str().unwrap()).await.unwrap();
        let value = secret.data.unwrap().remove(reference["key"].as_str().unwrap()).unwrap();
        entry.insert("value".to_owned(), String::from_utf8(value.0).unwrap().into());
    }
}

/// Writes the volumes of a pod.
async fn mount(rig: &Rig, template: &Json, folder: &Path) {
    for volume in template["spec"]["volumes"].as_array().unwrap() {
        let place = folder.join(volume["name"].as_str().unwrap());
        std::fs::create_dir_all(&place).unwrap();
        if let Some(map) = volume["configMap"]["name"].as_str() {
            let map = rig.get(CONFIG_MAP, map).await;
            for (name, text) in map["data"].as_object().unwrap() {
                let new = place.join(format!("..{name}"));
                std::fs::write(&new, text.as_str().unwrap()).unwrap();
                std::fs::rename(new, place.join(name)).unwrap();
            }
        }
    }
}

/// What a path inside the container is on this machine.
fn placed(text: &str, container: &Json, folder: &Path) -> String {
    let mounts = container["volumeMounts"].as_array().unwrap();
    let found = mounts.iter().find_map(|mount| {
        let rest = text.strip_prefix(mount["mountPath"].as_str().unwrap())?;
        Some(format!("{}{rest}", folder.join(mount["name"].as_str().unwrap()).display()))
    });
    found.unwrap_or_else(|| text.to_owned())
}
