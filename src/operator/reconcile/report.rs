//! Tells: the status of an object, and Kubernetes Events about what has changed in it.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};
use serde_json::{Map, Value as Json, json};

use super::Reconciler;
use crate::fault::Fault;
use crate::operator::queue::Key;
use crate::operator::resource::Resource;
use crate::operator::status::{self, READY, Reason, Truth, Verdict};

/// The longest note of an Event, in bytes.
const LONGEST_NOTE: usize = 1000;

impl Reconciler {
    /// Writes the status of an object where it is another one than before, and an Event about each change.
    ///
    /// # Errors
    /// When the API server cannot be written to.
    pub async fn tell(
        &self,
        key: &Key,
        resource: &Resource,
        object: &Json,
        verdicts: Vec<Verdict>,
        more: Json,
    ) -> Result<(), Fault> {
        let generation = object["metadata"]["generation"].as_i64();
        let before = &object["status"];
        let (conditions, news) = status::conditions(&before["conditions"], generation, verdicts, self.clock.now());
        let mut status = json!({"conditions": conditions, "observedGeneration": generation});
        if let (Json::Object(status), Json::Object(more)) = (&mut status, more) {
            status.extend(more.into_iter().filter(|(_, value)| !is_empty(value)));
        }
        let status = crate::layout::without_nulls(status);
        if *before == status {
            return Ok(());
        }
        let metadata = &object["metadata"];
        let mut identity = Map::new();
        for field in ["name", "namespace", "uid"] {
            identity.extend((!metadata[field].is_null()).then(|| (field.to_owned(), metadata[field].clone())));
        }
        let patch = json!({
            "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": identity, "status": status,
        });
        self.writer(key).write_own(resource, &key.namespace, &key.name, &patch).await?;
        self.announce(object, &news).await;
        Ok(())
    }

    /// Kubernetes Events are for people: one that cannot be written is a line in the log.
    async fn announce(&self, object: &Json, news: &[Verdict]) {
        let text = |value: &Json| value.as_str().map(str::to_owned);
        let metadata = &object["metadata"];
        let regarding = ObjectReference {
            api_version: text(&object["apiVersion"]),
            kind: text(&object["kind"]),
            name: text(&metadata["name"]),
            namespace: text(&metadata["namespace"]),
            uid: text(&metadata["uid"]),
            ..ObjectReference::default()
        };
        // Ready only repeats what another one says, unless all is well; and what has just begun is no trouble.
        let is_worth_it = |verdict: &&Verdict| match verdict.concern {
            READY => verdict.truth == Truth::True,
            _ => verdict.truth == Truth::False && verdict.reason != Reason::Progressing,
        };
        for verdict in news.iter().filter(is_worth_it) {
            let well = verdict.truth == Truth::True;
            let message = if verdict.message.is_empty() { "everything runs" } else { &verdict.message };
            let end = (0..=message.len().min(LONGEST_NOTE)).rev().find(|at| message.is_char_boundary(*at));
            let event = Event {
                type_: if well { EventType::Normal } else { EventType::Warning },
                reason: verdict.reason.as_str().to_owned(),
                note: Some(message[..end.unwrap_or(0)].to_owned()),
                action: verdict.concern.to_owned(),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&event, &regarding).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "an Event cannot be written");
            }
        }
    }
}

fn is_empty(value: &Json) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
