//! An object that the operator makes, and whose it is.

use std::fmt;

use serde_json::{Map, Value as Json, json};

use super::names;
use super::resource::{Resource, SECRET};

/// Who writes: the field manager of server-side apply.
pub const MANAGER: &str = "penstock";

/// Stands on everything that the operator makes.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", MANAGER);

/// Whose a child is: the kind and the name, in the child's own namespace.
pub const OF: &str = "events.openfunction.io/of";

/// The digest of what was applied, so that what is no longer wanted is noticed.
pub const APPLIED: &str = "events.openfunction.io/applied";

/// The kind of the owner of what several Triggers share.
pub const SHARED: &str = "Router";

/// The label that a Deployment selects its pods by. It must never change.
pub const INSTANCE: &str = "app.kubernetes.io/instance";

/// Whose children are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `EventSource`, `Trigger`, or `Router` for a shared one.
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// The objects that they go away with: kind, name and uid. Several for a shared router.
    pub objects: Vec<(&'static str, String, String)>,
}

impl Owner {
    /// The value of [`OF`].
    pub fn mark(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// The metadata of a child of this name, belonging to the workload.
    fn metadata(&self, name: &str, workload: &str) -> Json {
        let references: Vec<Json> =
            self.objects.iter().map(|(kind, name, uid)| self.reference(kind, name, uid)).collect();
        json!({
            "name": name,
            "namespace": self.namespace,
            "labels": labels(&self.kind, workload),
            "annotations": {OF: self.mark()},
            "ownerReferences": references,
        })
    }

    /// One that controls, or one of several that own.
    fn reference(&self, kind: &str, name: &str, uid: &str) -> Json {
        let mut reference = json!({"apiVersion": crate::api::API_VERSION, "kind": kind, "name": name, "uid": uid});
        if self.objects.len() == 1 {
            reference["controller"] = true.into();
            reference["blockOwnerDeletion"] = true.into();
        }
        reference
    }
}

/// The labels of everything that belongs to a workload.
pub fn labels(kind: &str, workload: &str) -> Map<String, Json> {
    let component = kind.to_ascii_lowercase();
    let (managed_by, manager) = MANAGED_BY;
    let labels = json!({
        "app.kubernetes.io/name": MANAGER, INSTANCE: names::label(workload),
        "app.kubernetes.io/component": component, managed_by: manager,
    });
    labels.as_object().cloned().unwrap_or_default()
}

/// An object as it should be.
#[derive(Clone, PartialEq)]
pub struct Child {
    pub resource: Resource,
    pub name: String,
    /// The whole object.
    pub object: Json,
}

/// Never shows what is in a Secret.
impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Child");
        shown.field("resource", &self.resource).field("name", &self.name);
        if self.resource.is(SECRET) {
            shown.finish_non_exhaustive()
        } else {
            shown.field("object", &self.object).finish()
        }
    }
}

impl Child {
    /// `body` is everything but `apiVersion`, `kind` and `metadata`.
    pub fn new(resource: Resource, name: &str, owner: &Owner, workload: &str, body: Json) -> Self {
        let mut object = json!({
            "apiVersion": resource.api_version(), "kind": resource.kind,
            "metadata": owner.metadata(name, workload),
        });
        if let (Json::Object(object), Json::Object(body)) = (&mut object, body) {
            object.extend(body);
        }
        let digest = names::digest(object.to_string().as_bytes());
        object["metadata"]["annotations"][APPLIED] = format!("{digest:016x}").into();
        Self { resource, name: name.to_owned(), object }
    }

    /// Whether it is a Component that takes something from a Secret of this name.
    pub fn reads(&self, secret: &str) -> bool {
        let metadata = self.object["spec"]["metadata"].as_array();
        metadata.into_iter().flatten().any(|entry| entry["secretKeyRef"]["name"] == secret)
    }

    /// Whether the object of the cluster is as it should be: what was applied last is this, and nobody has
    /// changed it since. What others have added is no matter.
    pub fn is_there(&self, actual: &Json) -> bool {
        contains(actual, &self.object)
    }
}

/// Whether everything of `wanted` is in `actual`. Elements of lists are found by their names where they have
/// any, because others may add some.
fn contains(actual: &Json, wanted: &Json) -> bool {
    match (actual, wanted) {
        (Json::Object(actual), Json::Object(wanted)) => wanted.iter().all(|(name, wanted)| match actual.get(name) {
            Some(actual) => contains(actual, wanted),
            // The server drops what is empty.
            None => is_nothing(wanted),
        }),
        (Json::Array(actual), Json::Array(wanted)) => {
            let named = wanted.iter().all(|wanted| wanted["name"].is_string());
            if named {
                let find = |name: &Json| actual.iter().find(|actual| actual["name"] == *name);
                return wanted
                    .iter()
                    .all(|wanted| find(&wanted["name"]).is_some_and(|actual| contains(actual, wanted)));
            }
            actual.len() == wanted.len() && actual.iter().zip(wanted).all(|(actual, wanted)| contains(actual, wanted))
        }
        _ => actual == wanted,
    }
}

fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Object(members) => members.is_empty(),
        Json::Array(items) => items.is_empty(),
        other => other.is_null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_add_is_no_change_and_what_they_change_is_one() {
        let wanted = json!({"a": {"b": 1}, "list": [{"name": "x", "v": 1}], "args": ["1", "2"], "none": {}});
        let same = json!({"a": {"b": 1, "c": 2}, "list": [{"name": "y"}, {"name": "x", "v": 1, "w": 2}], "args": ["1", "2"], "more": 1});
        assert!(contains(&same, &wanted));
        for (pointer, value) in
            [("/a/b", json!(2)), ("/list/1/v", json!(2)), ("/args", json!(["1"])), ("/list", json!([]))]
        {
            let mut other = same.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert!(!contains(&other, &wanted), "{pointer}");
        }
    }

    #[test]
    fn one_owner_controls_and_several_own() {
        let one = ("Trigger", "a".to_owned(), "1".to_owned());
        let other = ("Trigger", "b".to_owned(), "2".to_owned());
        let mut owner = Owner { kind: "Router".into(), namespace: "n".into(), name: "bus".into(), objects: vec![one] };
        let child = |owner: &Owner| {
            Child::new(Resource::of(super::super::resource::CONFIG_MAP), "c", owner, "w", json!({"data": {}})).object
        };
        assert_eq!(child(&owner)["metadata"]["ownerReferences"][0]["controller"], true);
        owner.objects.push(other);
        let references = child(&owner)["metadata"]["ownerReferences"].clone();
        assert_eq!(references.as_array().unwrap().len(), 2);
        assert!(references[0]["controller"].is_null());
    }
}
