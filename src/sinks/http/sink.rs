//! One attempt to deliver an event by HTTP.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use tower::{BoxError, ServiceExt};

use super::client::{Client, Stack};
use super::config::Config;
use crate::event::Event;
use crate::event::codec::Format;
use crate::event::codec::http::{write_binary, write_structured};
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Accepted};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("penstock/", env!("CARGO_PKG_VERSION")));
const PREFER: HeaderName = HeaderName::from_static("prefer");
const REPLY: HeaderValue = HeaderValue::from_static("reply");

/// The attributes of `CloudEvents`' Distributed Tracing extension. They go out as the headers of
/// the same name too, so that a service that knows W3C Trace Context alone continues the trace.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// Room for the headers of an event with a few extensions; more make the map grow.
const HEADERS: usize = 16;

/// Delivers events to one address.
pub struct Sink {
    config: Config,
    address: String,
    client: Client,
    stack: Stack,
}

impl Sink {
    /// A sink over the process's `client`.
    pub fn new(client: Client, config: Config) -> Self {
        Self { address: config.endpoint.display(), stack: client.stack(&config), client, config }
    }

    fn request(&self, event: &Event) -> Request<Full<Bytes>> {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        let body = if self.config.structured {
            let (content_type, body) = write_structured(event, Format::Json);
            headers.insert(CONTENT_TYPE, content_type);
            body
        } else {
            write_binary(event, &mut headers)
        };
        for name in TRACE {
            let Some(value) = event.attribute(name) else { continue };
            // A value that no header can hold is no trace context.
            if let Ok(value) = HeaderValue::from_str(&value.text()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers.insert(USER_AGENT, AGENT);
        for (name, value) in &self.config.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        if self.config.reply {
            // RFC 7240's header with Knative's word for "answer with an event".
            headers.insert(PREFER, REPLY);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.config.endpoint.uri().clone();
        *request.headers_mut() = headers;
        request
    }

    /// Tower's timeout erases the type of errors: an exchange's own fault comes back as it was,
    /// and anything else is the timeout.
    fn fault(&self, error: BoxError) -> Fault {
        match error.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(_) => {
                Fault::new(FaultKind::Timeout, "deliver", format!("no whole answer within {:?}", self.config.timeout))
            }
        }
    }
}

#[async_trait]
impl flow::Sink for Sink {
    fn address(&self) -> &str {
        &self.address
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        let answer = self.stack.clone().oneshot(self.request(event)).await.map_err(|error| self.fault(error));
        answer
            .and_then(|answer| answer.judge(&self.config, self.client.clock().now()))
            .map_err(|fault| fault.with_context("address", self.address.as_str()))
    }
}
