//! Where the targets of Triggers are, from a process beside daprd.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;

use super::plan::Resolved;
use crate::api::ObjectRef;
use crate::catalog::{self, SinkConfig};
use crate::cli::run;
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Accepted, Bus, Sink};
use crate::router::route::{Policy, Target};
use crate::sidecar::{About, Binding, Connection, PubSub};
use crate::sinks::http::Client;

/// What sinks are made of.
pub struct Wiring<'a> {
    pub connection: &'a Connection,
    /// What daprd has loaded.
    pub about: &'a About,
    pub bus: Arc<dyn Bus>,
    pub client: &'a Client,
    pub known: &'a [Resolved],
}

impl Wiring<'_> {
    /// The sink of a target.
    ///
    /// # Errors
    /// `NotFound` when nobody said where it is; `Rejected` when it cannot be a sink.
    pub fn sink(&self, target: &Target, policy: &Policy) -> Result<Arc<dyn Sink>, Fault> {
        if let Some(reference) = target.reference()
            && let Some(why) = self.resolved(reference).and_then(|known| known.unresolved.clone())
        {
            return Ok(Arc::new(Unresolved { target: target.to_string(), why }));
        }
        match target {
            Target::Object { reference, path } => {
                let uri = self.address(reference, path.as_deref())?;
                let mut config = run::http_config(&uri, policy)?;
                config.headers = self.headers(reference)?;
                Ok(catalog::sink(SinkConfig::Http(Box::new(config)), &self.bus, self.client))
            }
            Target::Component { reference, topic, operation, metadata } => {
                let known = self.resolved(reference);
                let name = known.and_then(|known| known.component.as_deref()).unwrap_or(&reference.name);
                let missing = || fault(FaultKind::NotFound, "daprd has not loaded it").with_context("component", name);
                let component = self.about.component(name).ok_or_else(missing)?;
                if component.ty.starts_with("bindings.") {
                    let (connection, structured) = (self.connection.clone(), policy.structured);
                    let binding = Binding::new(connection, name, operation.as_deref(), metadata.clone(), structured);
                    return Ok(Arc::new(binding));
                }
                if !component.ty.starts_with("pubsub.") {
                    let fault = fault(FaultKind::Rejected, "the component is neither a binding nor a pub/sub");
                    return Err(fault.with_context("component", name).with_context("type", component.ty.as_str()));
                }
                let untold = || fault(FaultKind::Rejected, "a pub/sub component needs a topic");
                let topic = topic.as_deref().ok_or_else(|| untold().with_context("component", name))?;
                Ok(Arc::new(PubSub::new(self.connection.clone(), name, topic, metadata.clone())))
            }
            Target::Http(_) | Target::Topic(_) | Target::Log => run::sink(target, policy, &self.bus, self.client),
        }
    }

    fn resolved(&self, reference: &ObjectRef) -> Option<&Resolved> {
        self.known.iter().find(|known| same(&known.reference, reference))
    }

    fn address(&self, reference: &ObjectRef, path: Option<&str>) -> Result<http::Uri, Fault> {
        let known = self.resolved(reference).and_then(|known| known.uri.as_deref());
        let about = |fault: Fault| fault.with_context("object", format!("{} {}", reference.kind, reference.name));
        let base = known.ok_or_else(|| about(fault(FaultKind::NotFound, "the plan does not say where it is")))?;
        let text = match path {
            Some(path) => format!("{}{path}", base.trim_end_matches('/')),
            None => base.to_owned(),
        };
        text.parse().map_err(|_| about(fault(FaultKind::Rejected, "its address cannot be read")))
    }

    fn headers(&self, reference: &ObjectRef) -> Result<HeaderMap, Fault> {
        let Some(known) = self.resolved(reference) else { return Ok(HeaderMap::new()) };
        HeaderMap::try_from(&known.headers).map_err(|_| {
            let fault = fault(FaultKind::Rejected, "a header that it asks for cannot be sent");
            fault.with_context("object", format!("{} {}", reference.kind, reference.name))
        })
    }
}

/// An object that is nowhere to be found now. Every attempt fails in a way that another one may mend, so that its
/// events are parked until the plan says where it is, or their deadline has come.
struct Unresolved {
    target: String,
    why: String,
}

#[async_trait]
impl Sink for Unresolved {
    fn address(&self) -> &str {
        &self.target
    }

    async fn deliver(&self, _: &Event) -> Result<Accepted, Fault> {
        Err(Fault::new(FaultKind::NotFound, "deliver", self.why.as_str()))
    }
}

/// The version of the API may differ; a namespace that one of them leaves out may not matter.
fn same(one: &ObjectRef, other: &ObjectRef) -> bool {
    let group = |reference: &ObjectRef| {
        reference.api_version.split_once('/').map_or(String::new(), |(group, _)| group.to_owned())
    };
    let namespaces = one.namespace.as_ref().zip(other.namespace.as_ref());
    one.kind == other.kind
        && one.name == other.name
        && group(one) == group(other)
        && namespaces.is_none_or(|(one, other)| one == other)
}

fn fault(kind: FaultKind, message: &str) -> Fault {
    Fault::new(kind, "set up a sink", message)
}
