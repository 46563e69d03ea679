//! Makes the cluster as it should be: what is missing or different is applied, what is left over is deleted, and
//! what is as it should be is left alone.

use std::error::Error as _;

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, ValidationDirective};
use serde_json::Value as Json;

use super::child::{Child, MANAGER, OF, Owner};
use super::interest::Interests;
use super::kept::{Kept, Sent};
use super::queue::{Key, Queue};
use super::resource::{CHILDREN, Resource, SECRET};
use super::world::{Change, State, World};
use crate::fault::{Fault, FaultKind};
use crate::telemetry::Operator as Counts;

/// Why not everything could be applied.
#[derive(Debug)]
pub enum Refusal {
    /// The cluster has no such kind now, or we may not write it.
    Kind(Resource, State),
    /// One object was refused, or the API server could not be asked.
    Object(Fault),
}

/// Who writes.
pub struct Writer<'a> {
    pub client: &'a Client,
    pub world: &'a World,
    pub interests: &'a Interests,
    pub queue: &'a Queue,
    pub counts: &'a Counts,
    /// Who is looked at.
    pub by: &'a Key,
}

impl Writer<'_> {
    /// Applies the children of an owner, in their order, and deletes what it has beside them.
    ///
    /// # Errors
    /// The first refusal; what comes after it is not applied.
    pub async fn apply(&self, owner: &Owner, children: &[Child]) -> Result<(), Refusal> {
        let (secrets, children): (Vec<&Child>, Vec<&Child>) =
            children.iter().partition(|child| child.resource.is(SECRET));
        for child in &children {
            let state = self.world.state(&child.resource);
            if state != State::Known {
                return Err(Refusal::Kind(child.resource.clone(), state));
            }
            let actual = self.world.get(&child.resource, &owner.namespace, &child.name);
            if actual.as_ref().is_some_and(|actual| child.is_there(actual)) {
                continue;
            }
            let ours = actual.as_ref().is_some_and(|actual| actual["metadata"]["annotations"][OF] == owner.mark());
            if actual.is_some() && !ours {
                let message = "there is one of this name already, and it is not ours";
                let fault = Fault::new(FaultKind::Conflict, "apply an object", message);
                return Err(Refusal::Object(about(fault, &child.resource, &owner.namespace, &child.name)));
            }
            // Before the Component that needs it: without it, daprd is told of no Component at all. One of this name
            // is right for good.
            for secret in secrets.iter().filter(|secret| child.reads(&secret.name)) {
                self.create(owner, secret).await.map_err(Refusal::Object)?;
            }
            self.apply_one(owner, child, ours).await.map_err(Refusal::Object)?;
        }
        self.delete_others(owner, &children).await.map_err(Refusal::Object)
    }

    async fn apply_one(&self, owner: &Owner, child: &Child, ours: bool) -> Result<(), Fault> {
        let mut params = PatchParams::apply(MANAGER);
        // What is ours is taken back from whoever has changed it; what is not must not be taken.
        params.force = ours;
        params.field_validation = Some(ValidationDirective::Strict);
        let api: Api<Sent> =
            Api::namespaced_with(self.client.clone(), &owner.namespace, &child.resource.api_resource());
        let applied = api.patch(&child.name, &params, &Patch::Apply(&child.object)).await;
        self.counts.wrote(&child.resource.kind, "apply");
        let applied = applied
            .map_err(|error| about(fault("apply an object", error), &child.resource, &owner.namespace, &child.name))?;
        tracing::info!(kind = child.resource.kind, namespace = owner.namespace, name = child.name, "applied");
        self.note(&child.resource, applied);
        Ok(())
    }

    /// Keeps what the API server has answered to what we wrote. The watch will have no news for others then: they are
    /// told now.
    fn note(&self, resource: &Resource, answer: Sent) {
        let (place, object) = Kept::of(resource, answer);
        let Some(change) = self.world.answered(resource, place, object) else { return };
        let mut others = self.interests.others(resource, &change);
        others.remove(self.by);
        // Somebody has written it since we looked, and a watch that begins anew finds nothing that it would tell.
        others.extend((self.is_about(resource, &change) && !change.is_aside()).then(|| self.by.clone()));
        self.queue.add(others);
    }

    /// Whether the object that has changed is the one that is looked at.
    fn is_about(&self, resource: &Resource, change: &Change) -> bool {
        Interests::own(resource, change).as_ref() == Some(self.by)
    }

    async fn create(&self, owner: &Owner, child: &Child) -> Result<(), Fault> {
        let about = |fault| about(fault, &child.resource, &owner.namespace, &child.name);
        let object: DynamicObject = serde_json::from_value(child.object.clone())
            .map_err(|_| about(Fault::new(FaultKind::Internal, "create an object", "it cannot be written as one")))?;
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let created = self.api(&child.resource, &owner.namespace).create(&params, &object).await;
        self.counts.wrote(&child.resource.kind, "create");
        match created {
            Ok(_) => {
                tracing::info!(kind = child.resource.kind, namespace = owner.namespace, name = child.name, "created");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(about(fault("create an object", error))),
        }
    }

    async fn delete_others(&self, owner: &Owner, children: &[&Child]) -> Result<(), Fault> {
        let mark = owner.mark();
        for resource in CHILDREN.into_iter().rev().map(Resource::of) {
            for (of, name) in self.world.owned(&resource, &owner.namespace, &mark) {
                if of != mark || children.iter().any(|child| child.resource == resource && child.name == name) {
                    continue;
                }
                let object = self.world.get(&resource, &owner.namespace, &name).unwrap_or_default();
                if !object["metadata"]["deletionTimestamp"].is_null() {
                    continue;
                }
                let uid = object["metadata"]["uid"].as_str().map(str::to_owned);
                let params = DeleteParams {
                    preconditions: Some(Preconditions { uid, resource_version: None }),
                    ..DeleteParams::background()
                };
                let deleted = self.api(&resource, &owner.namespace).delete(&name, &params).await;
                self.counts.wrote(&resource.kind, "delete");
                match deleted {
                    Ok(_) => tracing::info!(kind = resource.kind, namespace = owner.namespace, name, "deleted"),
                    // Gone, or another one by now.
                    Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                    Err(error) => {
                        return Err(about(fault("delete an object", error), &resource, &owner.namespace, &name));
                    }
                }
            }
        }
        Ok(())
    }

    fn api(&self, resource: &Resource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource.api_resource())
    }

    /// Writes the status of an object, or, without one, what else of it is ours.
    ///
    /// # Errors
    /// When the API server refuses, or cannot be asked.
    pub async fn write_own(&self, resource: &Resource, namespace: &str, name: &str, patch: &Json) -> Result<(), Fault> {
        let kind = resource.api_resource();
        let api: Api<Sent> = match namespace {
            "" => Api::all_with(self.client.clone(), &kind),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &kind),
        };
        let params = PatchParams::apply(MANAGER).force();
        let written = if patch["status"].is_null() {
            self.counts.wrote(&resource.kind, "finalizer");
            api.patch(name, &params, &Patch::Apply(patch)).await
        } else {
            self.counts.wrote(&resource.kind, "status");
            api.patch_status(name, &params, &Patch::Apply(patch)).await
        };
        match written {
            Ok(answer) => {
                self.note(resource, answer);
                Ok(())
            }
            // It is gone, or another one of the same name by now: there is nothing to tell.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(about(fault("write the status", error), resource, namespace, name)),
        }
    }
}

fn about(fault: Fault, resource: &Resource, namespace: &str, name: &str) -> Fault {
    fault.with_context("kind", resource.to_string()).with_context("name", format!("{namespace}/{name}"))
}

/// An error of the API server's client as a fault.
pub fn fault(operation: &'static str, error: kube::Error) -> Fault {
    let (kind, message) = match &error {
        kube::Error::Api(status) => {
            let kind = match status.code {
                401 | 403 => FaultKind::Denied,
                404 => FaultKind::NotFound,
                409 => FaultKind::Conflict,
                413 => FaultKind::TooLarge,
                429 => FaultKind::Throttled,
                400 | 422 => FaultKind::Rejected,
                _ => FaultKind::Unavailable,
            };
            return Fault::new(kind, operation, status.message.clone()).with_code(status.code);
        }
        other => {
            let cause = other.source().map(ToString::to_string);
            (FaultKind::Unavailable, cause.unwrap_or_else(|| other.to_string()))
        }
    };
    Fault::new(kind, operation, message).with_source(error)
}
