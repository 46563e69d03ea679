//! Attributes that a source Component sets on its events, as `attributes` of an `EventSource` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::api::metadata::Metadata;
use crate::component::{Factory, Made};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Received, Source};
use crate::intake::Overrides;
use crate::task::Shutdown;

/// What comes before the name of an attribute in a key of the metadata.
const PREFIX: &str = "attributes.";

/// Events that wait between the source and daprd beside those that wait at the source.
const BOUND: usize = 1;

/// A kind of source whose Components may set attributes.
pub struct Attributed(pub Arc<dyn Factory>);

#[async_trait]
impl Factory for Attributed {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let (ours, rest): (Metadata, Metadata) =
            metadata.clone().into_iter().partition(|(key, _)| key.starts_with(PREFIX));
        let attributes = ours.into_iter().map(|(key, value)| (key[PREFIX.len()..].to_owned(), value));
        let attributes: BTreeMap<String, String> = attributes.collect();
        let overrides = Overrides::new(&attributes).map_err(|error| {
            let message = format!("spec.metadata: {PREFIX}*: {error}");
            Fault::new(FaultKind::Rejected, "read the Component", message)
        })?;
        Ok(match self.0.make(instance, &rest).await? {
            Made::Source { source, events } if !attributes.is_empty() => {
                let (to, amended) = mpsc::channel(BOUND);
                Made::Source { source: Box::new(Amending { source, events, overrides, to }), events: amended }
            }
            made => made,
        })
    }
}

/// A source and what is set on its events.
struct Amending {
    source: Box<dyn Source>,
    events: mpsc::Receiver<Received>,
    overrides: Overrides,
    to: mpsc::Sender<Received>,
}

#[async_trait]
impl Source for Amending {
    async fn run(self: Box<Self>, shutdown: Shutdown) -> Result<(), Fault> {
        let Self { source, mut events, overrides, to } = *self;
        let amending = async {
            while let Some(Received { event, position, appended, attempt, receipt }) = events.recv().await {
                let event = event.map(|event| overrides.apply(event));
                // Closed only when nobody takes events any more; the receipt hands the event back.
                if to.send(Received { event, position, appended, attempt, receipt }).await.is_err() {
                    return;
                }
            }
        };
        // The events end with the source.
        futures_util::future::join(source.run(shutdown), amending).await.0
    }
}
