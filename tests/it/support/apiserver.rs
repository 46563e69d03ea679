//! A real Kubernetes API server with an etcd of its own: RBAC on, users known by their tokens, no kubelet.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

use super::server::Server;
use super::{eventually, free_port};

/// The module that pins the version.
const MODULE: &str = include_str!("../../tools/kubernetes/go.mod");

/// Users and their groups; a user's token is the user's name. RBAC grants nothing to `guest`.
const USERS: &str = "admin,admin,admin,\"system:masters\"\nguest,guest,guest\n";

/// The user that may do everything.
pub const ADMIN: &str = "admin";
/// The user that may do nothing until a test binds a role to it.
pub const GUEST: &str = "guest";

/// The one that tests of this binary share while any of them runs.
static SHARED: Mutex<Weak<ApiServer>> = Mutex::const_new(Weak::new());

/// Tells the namespaces and files of the tests apart.
static NUMBERS: AtomicU32 = AtomicU32::new(0);

/// A running API server. It and its etcd are killed when this is dropped.
pub struct ApiServer {
    pub port: u16,
    etcd_port: u16,
    folder: TempDir,
    // The API server is dropped first: without its etcd it would only complain.
    server: Server,
    etcd: Server,
}

/// A program that `make tools` builds from the module.
fn program(name: &str) -> PathBuf {
    let version = MODULE.lines().find_map(|line| line.strip_prefix("require k8s.io/kubernetes v")).unwrap();
    let path = super::tools().join(format!("{name}-{version}"));
    assert!(path.exists(), "{} is missing: run `make tools`", path.display());
    path
}

impl ApiServer {
    /// The server that tests share which do not kill it; each works in a namespace of its own.
    pub async fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start().await);
        *shared = Arc::downgrade(&server);
        server
    }

    /// Starts a server of one's own.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tokens.csv"), USERS).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(folder.path().join("accounts.key"), key.serialize_pem()).unwrap();
        fs::write(folder.path().join("accounts.pub"), key.public_key_pem()).unwrap();
        let (port, etcd_port) = (free_port(), free_port());
        let mut server = Self { port, etcd_port, folder, server: Server::default(), etcd: Server::default() };
        server.run_etcd();
        server.run().await;
        server
    }

    fn run_etcd(&mut self) {
        let folder = self.folder.path();
        let (own, peers) =
            (format!("http://127.0.0.1:{}", self.etcd_port), format!("http://127.0.0.1:{}", free_port()));
        let mut command = Command::new("etcd");
        command
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args(["--listen-client-urls", &own, "--advertise-client-urls", &own])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")]);
        self.etcd.run(&mut command, self.etcd_port, &folder.join("etcd.log"));
    }

    /// Starts the API server, again after it was killed: the same port, the same objects.
    pub async fn run(&mut self) {
        let folder = self.folder.path();
        let file = |name: &str| folder.join(name).display().to_string();
        let mut command = Command::new(program("kube-apiserver"));
        command.args([
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--service-account-issuer=https://kubernetes.test".to_owned(),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            format!("--service-account-key-file={}", file("accounts.pub")),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", file("tokens.csv")),
            format!("--secure-port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--cert-dir={}", file("certificates")),
            "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
            // No controller makes the accounts that this would demand of pods.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ]);
        self.server.run(&mut command, self.port, &folder.join("log"));
        let client = self.client(ADMIN).await;
        eventually("the API server is ready", || async {
            let ready = http::Request::get("/readyz").body(Vec::new()).unwrap();
            client.request_text(ready).await.is_ok()
        })
        .await;
    }

    /// The process of the API server.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// SIGKILL to the API server. Its etcd goes on.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// What a user needs to reach it, in memory; `token` is the name of a user, or an account's token.
    fn settings(&self, token: &str, port: u16) -> String {
        let certificate = self.folder.path().join("certificates/apiserver.crt");
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
             clusters: [{{name: it, cluster: {{server: \"https://127.0.0.1:{}\", certificate-authority: \"{}\"}}}}]\n\
             users: [{{name: it, user: {{token: \"{token}\"}}}}]\n\
             contexts: [{{name: it, context: {{cluster: it, user: it, namespace: default}}}}]\n",
            port,
            certificate.display(),
        )
    }

    /// A kubeconfig file of a user, or of an account with this token.
    pub fn kubeconfig(&self, token: &str) -> PathBuf {
        self.kubeconfig_through(self.port, token)
    }

    /// The same, for the server as it is seen through another port.
    pub fn kubeconfig_through(&self, port: u16, token: &str) -> PathBuf {
        let name: String = token.chars().rev().take(40).filter(char::is_ascii_alphanumeric).collect();
        let path = self.folder.path().join(format!("{name}-{port}.kubeconfig"));
        // Whoever reads it meanwhile, for another test, finds it whole.
        let new = path.with_extension(format!("{}", NUMBERS.fetch_add(1, Ordering::Relaxed)));
        fs::write(&new, self.settings(token, port)).unwrap();
        fs::rename(new, &path).unwrap();
        path
    }

    /// A client for a user, or for an account with this token. It belongs to the runtime of its test.
    pub async fn client(&self, token: &str) -> Client {
        // The client takes the one of the process; it is an error only when it is there already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let settings = Kubeconfig::from_yaml(&self.settings(token, self.port)).unwrap();
        let config = Config::from_custom_kubeconfig(settings, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    /// Makes a namespace whose name no other test has; it begins with `name`.
    pub async fn namespace(&self, name: &str) -> String {
        let name = format!("{name}-{}", NUMBERS.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let all: Api<Namespace> = Api::all(self.client(ADMIN).await);
        all.create(&PostParams::default(), &namespace).await.unwrap();
        name
    }

    /// A token of a service account that exists.
    pub async fn account_token(&self, namespace: &str, account: &str) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(ADMIN).await, namespace);
        let wanted = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let given = accounts.create_token_request(account, &PostParams::default(), &wanted).await.unwrap();
        given.status.unwrap().token
    }

    /// Runs kubectl as the admin; `stdin` is what `-f -` reads.
    pub async fn kubectl(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut child = tokio::process::Command::new(program("kubectl"))
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig(ADMIN))
            // What kubectl learns about the server is cached here, not in the user's home.
            .env("HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(stdin.as_bytes()).await.unwrap();
        drop(input);
        child.wait_with_output().await.unwrap()
    }
}
