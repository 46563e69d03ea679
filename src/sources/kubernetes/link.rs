//! The client, the kind as the API server knows it, and what its answers mean.

use std::error::Error as StdError;

use kube::api::{ListParams, WatchParams};
use kube::core::{DynamicObject, GroupVersionKind, ObjectList, Request, Resource};
use kube::discovery::{self, ApiResource, Scope as Reach};
use kube::{Client, Error};
use serde_json::Value as Json;

use super::config::{Config, Scope};
use crate::fault::{Fault, FaultKind};

const CONNECT: &str = "connect to the Kubernetes API";
pub(super) const LIST: &str = "list Kubernetes objects";
pub(super) const WATCH: &str = "watch Kubernetes objects";

/// The objects of one page of a list.
const PAGE: u32 = 500;

/// What the API server answers when it no longer has what happened since a version.
pub(super) const GONE: u16 = 410;

/// A client, and the kind that is watched.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) resource: ApiResource,
    /// Each is one watch; `None` is all namespaces, or objects outside of them.
    pub(super) namespaces: Vec<Option<String>>,
}

impl Link {
    /// Finds the API server (as kubectl does: a kubeconfig, else the cluster that this runs in) and the kind.
    ///
    /// # Errors
    /// `Rejected` when there is no configuration, when it does not fit the kind, or when the API server does not know the
    /// kind; `Denied` when it refuses the login; `Unavailable` when nobody answers.
    pub(super) async fn open(config: &Config) -> Result<Self, Fault> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // The client takes the process's own; that another thread was first is as good.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let settings = kube::Config::infer().await.map_err(|error| {
            let message = "there is no usable kubeconfig, and this runs in no cluster";
            Fault::new(FaultKind::Rejected, CONNECT, message).with_source(error)
        })?;
        let own = settings.default_namespace.clone();
        let client = Client::try_from(settings).map_err(|error| {
            Fault::new(FaultKind::Rejected, CONNECT, "the configuration of the client is not usable").with_source(error)
        })?;
        let kind = GroupVersionKind::gvk(&config.group, &config.version, &config.kind);
        let (resource, capabilities) = discovery::pinned_kind(&client, &kind).await.map_err(|error| match &error {
            Error::Discovery(_) => unknown(config),
            Error::Api(status) if status.code == 404 => unknown(config),
            _ => fault(CONNECT, error),
        })?;
        let namespaces = match (&capabilities.scope, &config.scope) {
            (Reach::Cluster, Scope::These(_)) => {
                let message = format!("objects of the kind {} are in no namespace", config.kind);
                return Err(Fault::new(FaultKind::Rejected, CONNECT, message));
            }
            (Reach::Cluster, _) | (Reach::Namespaced, Scope::All) => vec![None],
            (Reach::Namespaced, Scope::These(names)) => names.iter().cloned().map(Some).collect(),
            (Reach::Namespaced, Scope::Own(name)) => vec![Some(name.clone().unwrap_or(own))],
        };
        Ok(Self { client, resource, namespaces })
    }
}

fn unknown(config: &Config) -> Fault {
    let message = format!("the API server knows no kind {} of {}", config.kind, config.api_version());
    Fault::new(FaultKind::Rejected, CONNECT, message)
}

/// The requests of one watch.
pub(super) struct Requests {
    request: Request,
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
}

impl Requests {
    pub(super) fn new(config: &Config, resource: &ApiResource, namespace: Option<&str>) -> Self {
        let request = Request::new(DynamicObject::url_path(resource, namespace));
        Self { request, labels: config.label_selector.clone(), fields: config.field_selector.clone() }
    }

    /// All objects and the version of the list, page by page.
    ///
    /// # Errors
    /// The client's own.
    pub(super) async fn list(&self, client: &Client, metadata_only: bool) -> Result<(Vec<Json>, String), Error> {
        let mut params = ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        };
        let mut objects = Vec::new();
        loop {
            let request = if metadata_only { self.request.list_metadata(&params) } else { self.request.list(&params) };
            let page: ObjectList<Json> = client.request(request.map_err(Error::BuildRequest)?).await?;
            objects.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok((objects, page.metadata.resource_version.unwrap_or_default())),
            }
        }
    }

    /// The request for what happens after `version`.
    ///
    /// # Errors
    /// When it cannot be one.
    pub(super) fn watch(&self, version: &str, metadata_only: bool) -> Result<http::Request<Vec<u8>>, Fault> {
        let params = WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            ..WatchParams::default()
        };
        let request = if metadata_only {
            self.request.watch_metadata(&params, version)
        } else {
            self.request.watch(&params, version)
        };
        request.map_err(|error| fault(WATCH, Error::BuildRequest(error)))
    }
}

/// Whether the API server no longer has what happened since a version.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == GONE)
}

/// The fault of a call that failed.
pub(super) fn fault(operation: &'static str, error: Error) -> Fault {
    if let Error::Api(status) = &error {
        return refusal(operation, status.code, &status.message);
    }
    let (kind, message) = match &error {
        Error::Auth(_) => (FaultKind::Denied, "the login of the client's configuration cannot be had"),
        Error::SerdeError(_) | Error::FromUtf8(_) => (FaultKind::Malformed, "the answer cannot be read"),
        Error::BuildRequest(_) | Error::HttpError(_) => (FaultKind::Rejected, "the request cannot be made"),
        _ if is_certificate(&error) => (FaultKind::Denied, "TLS cannot be agreed on"),
        _ => (FaultKind::Unavailable, "the API server cannot be reached"),
    };
    Fault::new(kind, operation, message).with_source(error)
}

/// What a status code of the API server means.
pub(super) fn refusal(operation: &'static str, code: u16, message: &str) -> Fault {
    let kind = match code {
        401 | 403 => FaultKind::Denied,
        404 => FaultKind::NotFound,
        429 => FaultKind::Throttled,
        // The version is too old: what is done about that is the caller's.
        GONE | 500.. => FaultKind::Unavailable,
        _ => FaultKind::Rejected,
    };
    Fault::new(kind, operation, message).with_code(code)
}

/// Whether a certificate is the reason: it will be again.
fn is_certificate(error: &Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        // An error of I/O hides the one inside from its sources.
        let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inside = inside.and_then(|inside| inside.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_)) = inside.or_else(|| error.downcast_ref()) {
            return true;
        }
        cause = error.source();
    }
    false
}
