//! Asks the API server what it calls the kinds that an `EventSource` watches.

use std::sync::PoisonError;

use kube::Error;
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use serde_json::{Map, Value as Json};

use super::Reconciler;
use crate::fault::{Fault, FaultKind};
use crate::layout;
use crate::operator::apply::fault;
use crate::operator::build::{KUBERNETES, Kind, Kinds};

impl Reconciler {
    /// The kinds that an `EventSource` watches. What was once known is not asked for again.
    ///
    /// # Errors
    /// What is said about a kind that is not there, and what is to be tried again.
    pub(super) async fn kinds(&self, raw: &Map<String, Json>) -> Result<Kinds, (String, Fault)> {
        let mut kinds = Kinds::new();
        for event in layout::events(raw).iter().filter(|event| event.kind == KUBERNETES) {
            let text = |field: &str| event.settings.get(field).and_then(Json::as_str).unwrap_or_default();
            let (api_version, kind) = (text("apiVersion"), text("kind"));
            let key = (api_version.to_owned(), kind.to_owned());
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let found = match known {
                Some(known) => known,
                None => self
                    .discover(api_version, kind)
                    .await
                    .map_err(|fault| (format!("{}: {}", event.path(), fault.chain()), fault))?,
            };
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), found.clone());
            kinds.insert(key, found);
        }
        Ok(kinds)
    }

    async fn discover(&self, api_version: &str, kind: &str) -> Result<Kind, Fault> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let wanted = GroupVersionKind::gvk(group, version, kind);
        let found = discovery::pinned_kind(&self.client, &wanted).await;
        let missing = |error: &Error| match error {
            Error::Discovery(_) => true,
            Error::Api(status) => status.code == 404,
            _ => false,
        };
        let (resource, capabilities) = found.map_err(|error| {
            if missing(&error) {
                let message = format!("the cluster has no kind {kind} of {api_version}");
                Fault::new(FaultKind::NotFound, "find a kind", message)
            } else {
                fault("find a kind", error)
            }
        })?;
        let namespaced = capabilities.scope == Scope::Namespaced;
        Ok(Kind { group: group.to_owned(), plural: resource.plural, namespaced })
    }
}
