//! Dapr Components as sinks: output bindings, and pub/sub Components of others.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::connection::Connection;
use super::envelope;
use crate::event::Event;
use crate::event::codec::http;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Accepted};
use crate::proto::dapr_runtime::{InvokeBindingRequest, PublishEventRequest};

/// The operation of a binding when nothing else is asked for.
const OPERATION: &str = "create";

/// Invokes an output binding with each event.
///
/// By default the binding gets the data alone, as an `OpenFunction` function would give it, and the
/// attributes as metadata in the way of HTTP headers (`Ce-Id`, `Content-Type`): the `http` binding
/// sends them as such, Kafka's as record headers, others pass them over. Structured, it gets the whole
/// event as JSON.
pub struct Binding {
    connection: Connection,
    component: String,
    operation: String,
    metadata: BTreeMap<String, String>,
    structured: bool,
    address: String,
}

impl Binding {
    /// The binding `component`; `metadata` goes with every request and wins over what is made of the
    /// event.
    pub fn new(
        connection: Connection,
        component: &str,
        operation: Option<&str>,
        metadata: BTreeMap<String, String>,
        structured: bool,
    ) -> Self {
        let (operation, address) = (operation.unwrap_or(OPERATION).to_owned(), format!("binding:{component}"));
        Self { connection, component: component.to_owned(), operation, metadata, structured, address }
    }

    fn request(&self, event: &Event) -> Result<InvokeBindingRequest, Fault> {
        let (data, mut metadata) = if self.structured {
            let content_type = ("Content-Type".to_owned(), envelope::CONTENT_TYPE.to_owned());
            (readable(event)?, BTreeMap::from([content_type]))
        } else {
            (event.data_bytes().unwrap_or_default(), headers(event))
        };
        metadata.extend(self.metadata.clone());
        Ok(InvokeBindingRequest { name: self.component.clone(), data, metadata, operation: self.operation.clone() })
    }
}

#[async_trait]
impl flow::Sink for Binding {
    fn address(&self) -> &str {
        &self.address
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        let (request, mut client) = (self.request(event)?, self.connection.client());
        let answer = self.connection.call("invoke a binding", client.invoke_binding(request)).await;
        let answer = answer.map_err(|fault| fault.with_context("binding", self.component.as_str()))?;
        // The http binding tells what it was answered; an error it reports as one itself.
        Ok(Accepted { code: answer.metadata.get("statusCode").and_then(|code| code.parse().ok()), reply: None })
    }
}

/// Publishes each event to a pub/sub Component, as it is, for the apps that read it.
pub struct PubSub {
    connection: Connection,
    component: String,
    topic: String,
    metadata: BTreeMap<String, String>,
    address: String,
}

impl PubSub {
    /// The topic `topic` of the Component `component`; `metadata` goes with every request.
    pub fn new(connection: Connection, component: &str, topic: &str, metadata: BTreeMap<String, String>) -> Self {
        let (component, topic) = (component.to_owned(), topic.to_owned());
        let address = format!("pubsub:{component}/{topic}");
        Self { connection, component, topic, metadata, address }
    }
}

#[async_trait]
impl flow::Sink for PubSub {
    fn address(&self) -> &str {
        &self.address
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        let request = PublishEventRequest {
            pubsub_name: self.component.clone(),
            topic: self.topic.clone(),
            data: readable(event)?,
            data_content_type: envelope::CONTENT_TYPE.to_owned(),
            metadata: self.metadata.clone(),
        };
        let mut client = self.connection.client();
        let answer = self.connection.call("publish", client.publish_event(request)).await;
        answer.map_err(|fault| fault.with_context("address", self.address.as_str()))?;
        Ok(Accepted::default())
    }
}

fn readable(event: &Event) -> Result<Bytes, Fault> {
    envelope::readable(event).map_err(|error| Fault::new(FaultKind::Internal, "write an event", error.to_string()))
}

/// The attributes in the way of HTTP's binary mode. The names begin with a capital letter: that is how
/// the `http` binding tells headers from its own settings.
fn headers(event: &Event) -> BTreeMap<String, String> {
    let mut headers = ::http::HeaderMap::new();
    // The body is the data, which goes its own way.
    let _data = http::write_binary(event, &mut headers);
    let capital = |name: &str| {
        let mut letters = name.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    let text = |value: &::http::HeaderValue| value.to_str().ok().map(str::to_owned);
    headers.iter().filter_map(|(name, value)| Some((capital(name.as_str()), text(value)?))).collect()
}
