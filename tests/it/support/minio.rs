//! A real `MinIO`, on a free port and a directory of its own, and the few calls that tests make.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use data_encoding::BASE64;
use http::Method;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ring::hmac;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::server::Server;
use super::{Answer, Client, eventually, free_port};

/// The module that pins the version.
const MODULE: &str = include_str!("../../tools/minio/go.mod");

/// A running server. It is killed when this is dropped.
pub struct Minio {
    pub port: u16,
    folder: TempDir,
    server: Server,
    environment: Vec<(&'static str, String)>,
    /// The authority that signed its certificate, when it speaks TLS.
    authority: Option<CertificateDer<'static>>,
}

fn binary() -> PathBuf {
    let version = MODULE.lines().find_map(|line| line.strip_prefix("require github.com/minio/minio v0.0.0-")).unwrap();
    let version = version.split('-').next().unwrap();
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    let path = cache.join("penstock/tools").join(format!("minio-{version}"));
    assert!(path.exists(), "{} is not there: make tools builds it", path.display());
    path
}

impl Minio {
    pub const ACCESS_KEY: &str = "penstock";
    pub const SECRET_KEY: &str = "penstock-secret";

    /// Starts a server without webhooks.
    pub async fn start() -> Self {
        Self::start_with(|_| Vec::new()).await
    }

    /// Starts a server that can post to a webhook, named `hook`, which must present the token; what it could
    /// not post it keeps, and posts it later.
    pub async fn posting(uri: &str, token: &str) -> Self {
        Self::start_with(|folder| {
            vec![
                ("MINIO_NOTIFY_WEBHOOK_ENABLE_hook", "on".to_owned()),
                ("MINIO_NOTIFY_WEBHOOK_ENDPOINT_hook", uri.to_owned()),
                ("MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_hook", token.to_owned()),
                ("MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_hook", folder.path().join("queue").display().to_string()),
            ]
        })
        .await
    }

    /// Starts a server that speaks TLS alone; and the authority that signed its certificate, as PEM.
    pub async fn start_tls() -> (Self, String) {
        let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let mut minio = Self::new(|folder| {
            // Where it looks for them below its home.
            let certs = folder.path().join(".minio/certs");
            fs::create_dir_all(&certs).unwrap();
            fs::write(certs.join("public.crt"), cert.pem()).unwrap();
            fs::write(certs.join("private.key"), key.serialize_pem()).unwrap();
            Vec::new()
        });
        minio.authority = Some(authority.der().clone());
        minio.run().await;
        (minio, authority.pem())
    }

    async fn start_with(environment: impl FnOnce(&TempDir) -> Vec<(&'static str, String)>) -> Self {
        let mut minio = Self::new(environment);
        minio.run().await;
        minio
    }

    fn new(environment: impl FnOnce(&TempDir) -> Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(&folder);
        Self { port: free_port(), folder, server: Server::default(), environment, authority: None }
    }

    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        Client::trusting(self.authority.as_ref())
    }

    /// Starts the process, again after it was killed: the same port, the same data.
    pub async fn run(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new(binary());
        command
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{}", self.port)])
            .arg(folder.join("data"))
            .env("HOME", folder)
            .env("MINIO_ROOT_USER", Self::ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", Self::SECRET_KEY)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off")
            .envs(self.environment.iter().map(|(name, value)| (*name, value)));
        self.server.run(&mut command, self.port, &folder.join("log"));
        eventually("MinIO is ready", || async {
            let answer = self.client().get(&format!("{}/minio/health/live", self.url())).await;
            answer.is_ok_and(|answer| answer.code == 200) && self.call(Method::GET, "/", "").await.code == 200
        })
        .await;
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    pub async fn make_bucket(&self, name: &str) {
        let answer = self.call(Method::PUT, &format!("/{name}"), "").await;
        assert_eq!(answer.code, 200, "{}", answer.body);
    }

    /// Has what happens in a bucket posted to the webhook.
    pub async fn notify(&self, bucket: &str, events: &[&str]) {
        let events = format!("<Event>{}</Event>", events.join("</Event><Event>"));
        let body = format!(
            "<NotificationConfiguration><QueueConfiguration><Id>1</Id><Queue>arn:minio:sqs::hook:webhook</Queue>\
             {events}</QueueConfiguration></NotificationConfiguration>"
        );
        // The server answers before it has read its own webhooks, and says until then that there is no such one.
        eventually("MinIO knows its webhook", || async {
            let answer = self.call(Method::PUT, &format!("/{bucket}?notification="), &body).await;
            let unknown = answer.body.contains("A specified destination ARN does not exist");
            assert!(answer.code == 200 || unknown, "{}", answer.body);
            answer.code == 200
        })
        .await;
    }

    /// `key` as an address has it.
    pub async fn put(&self, bucket: &str, key: &str, body: &str) {
        let answer = self.call(Method::PUT, &format!("/{bucket}/{key}"), body).await;
        assert_eq!(answer.code, 200, "{}", answer.body);
    }

    pub async fn delete(&self, bucket: &str, key: &str) {
        let answer = self.call(Method::DELETE, &format!("/{bucket}/{key}"), "").await;
        assert_eq!(answer.code, 204, "{}", answer.body);
    }

    /// Sends a request with the older of the two signatures, which is the shorter one to make.
    async fn call(&self, method: Method, path: &str, body: &str) -> Answer {
        let date = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let resource = path.strip_suffix('=').unwrap_or(path);
        let text = format!("{method}\n\ntext/plain\n{date}\n{resource}");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, Self::SECRET_KEY.as_bytes());
        let signature = BASE64.encode(hmac::sign(&key, text.as_bytes()).as_ref());
        let authorization = format!("AWS {}:{signature}", Self::ACCESS_KEY);
        let headers = [("date", date.as_str()), ("authorization", &authorization), ("content-type", "text/plain")];
        self.client().send(method, &format!("{}{path}", self.url()), &headers, body).await.unwrap()
    }
}
