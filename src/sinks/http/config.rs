//! Where an HTTP sink delivers to, and how.

use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderMap, Uri};

/// One sink's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub endpoint: Endpoint,
    /// Sent beside the headers of an event, never in their place. `host` stands in the place of the endpoint's own,
    /// for what is known to a gateway by it.
    pub headers: HeaderMap,
    /// HTTP/2 without negotiation, for `http` addresses that are known to speak it. An `https`
    /// address negotiates its version (ALPN) whatever this says.
    pub http2: bool,
    /// Structured mode (one JSON document) instead of binary mode (attributes in headers).
    pub structured: bool,
    /// How long one attempt may take, until the answer's last byte.
    pub timeout: Duration,
    /// Which status codes say that the event was taken.
    pub success: Success,
    /// Whether an event in the answer is wanted. Only then is the answer read as one.
    pub reply: bool,
}

impl Config {
    /// Binary mode, 30 seconds, every 2xx, no reply: the defaults of a subscriber.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            headers: HeaderMap::new(),
            http2: false,
            structured: false,
            timeout: Duration::from_secs(30),
            success: Success::Every2xx,
            reply: false,
        }
    }
}

/// The status codes that say that the event was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Success {
    #[default]
    Every2xx,
    /// Exactly these.
    Only(Vec<u16>),
}

impl Success {
    pub(super) fn has(&self, code: u16) -> bool {
        match self {
            Self::Every2xx => (200..300).contains(&code),
            Self::Only(codes) => codes.contains(&code),
        }
    }
}

/// An absolute `http` or `https` address without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    #[error("it is not an absolute http or https address, such as http://host:8080/path")]
    NotAbsolute,
    #[error("it has no host")]
    NoHost,
    #[error("it carries a user or password, which would end up in logs and status; remove them")]
    Credentials,
}

impl Endpoint {
    /// # Errors
    /// When the address is relative, of another scheme, or carries credentials.
    pub fn new(uri: Uri) -> Result<Self, InvalidEndpoint> {
        let known = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let Some(authority) = uri.authority().filter(|_| known) else { return Err(InvalidEndpoint::NotAbsolute) };
        if authority.as_str().contains('@') {
            return Err(InvalidEndpoint::Credentials);
        }
        if authority.host().is_empty() {
            return Err(InvalidEndpoint::NoHost);
        }
        Ok(Self(uri))
    }

    pub fn uri(&self) -> &Uri {
        &self.0
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// The address without its query, which often holds a key.
    pub(super) fn display(&self) -> String {
        display(&self.0)
    }
}

/// An address fit for logs and dead letters: no credentials, and a query only hinted at.
pub(super) fn display(uri: &Uri) -> String {
    let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let query = if uri.query().is_some() { "?..." } else { "" };
    format!("{scheme}{host}{}{query}", uri.path())
}
