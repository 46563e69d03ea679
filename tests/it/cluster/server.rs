//! That the API server of these tests is one: it asks who one is, knows the definitions, keeps what it was given.

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Client, Error};

use crate::support::{ADMIN, ApiServer, GUEST, apply_foreign_crds, apply_own_crds, eventually};

fn named<K: Default>(name: &str, set: impl FnOnce(&mut K, ObjectMeta)) -> K {
    let mut object = K::default();
    set(&mut object, ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() });
    object
}

async fn is_denied(client: Client, namespace: &str) -> bool {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let answer = maps.list(&ListParams::default()).await;
    let denied = matches!(&answer, Err(Error::Api(status)) if status.code == 403);
    assert!(denied || answer.is_ok(), "{answer:?}");
    denied
}

#[tokio::test]
async fn users_and_accounts_may_do_what_they_were_granted() {
    let server = ApiServer::shared().await;
    let namespace = server.namespace("rights").await;
    assert!(!is_denied(server.client(ADMIN).await, &namespace).await);
    assert!(is_denied(server.client(GUEST).await, &namespace).await);
    let accounts: Api<ServiceAccount> = Api::namespaced(server.client(ADMIN).await, &namespace);
    let account = named("worker", |account: &mut ServiceAccount, metadata| account.metadata = metadata);
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let token = server.account_token(&namespace, "worker").await;
    assert!(is_denied(server.client(&token).await, &namespace).await);
    let account = format!("--serviceaccount={namespace}:worker");
    for made in
        [["role", "looks", "--verb=list", "--resource=configmaps"], ["rolebinding", "looks", "--role=looks", &account]]
    {
        let out = server.kubectl(&[&["--namespace", &namespace, "create"], &made[..]].concat(), "").await;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let client = server.client(&token).await;
    // The server learns of a binding a moment after it was made.
    eventually("the account may look", || async { !is_denied(client.clone(), &namespace).await }).await;
}

#[tokio::test]
async fn our_kinds_and_those_of_others_are_served() {
    let server = ApiServer::shared().await;
    let client = server.client(ADMIN).await;
    apply_own_crds(&client).await;
    apply_foreign_crds(&client).await;
    for (group, version, kind, plural) in [
        ("events.openfunction.io", "v1alpha1", "Trigger", "triggers"),
        ("dapr.io", "v1alpha1", "Component", "components"),
        ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
        ("http.keda.sh", "v1alpha1", "HTTPScaledObject", "httpscaledobjects"),
        ("serving.knative.dev", "v1", "Service", "services"),
        ("core.openfunction.io", "v1beta1", "Function", "functions"),
        ("core.openfunction.io", "v1beta2", "Function", "functions"),
    ] {
        let api_version = format!("{group}/{version}");
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let objects: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let listed = objects.list(&ListParams::default()).await;
        assert!(listed.is_ok(), "{kind}: {listed:?}");
    }
}

#[tokio::test]
async fn a_server_started_again_has_the_same_objects() {
    let mut server = ApiServer::start().await;
    let namespace = server.namespace("kept").await;
    let maps = |client| -> Api<ConfigMap> { Api::namespaced(client, &namespace) };
    let map = named("one", |map: &mut ConfigMap, metadata| map.metadata = metadata);
    maps(server.client(ADMIN).await).create(&PostParams::default(), &map).await.unwrap();
    server.kill();
    server.run().await;
    maps(server.client(ADMIN).await).get("one").await.unwrap();
}
