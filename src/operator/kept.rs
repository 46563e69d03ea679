//! What of an object is kept: what somebody here reads, as text. As text it takes a tenth of the memory that a tree
//! of values takes, and thousands are kept; whoever looks at one reads it anew.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::core::{ApiResource, DynamicObject, DynamicResourceScope};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json, json};

use super::child::{MANAGED_BY, MANAGER, OF};
use super::resource::{CHILDREN, COMPONENT, DEPLOYMENT, EVENT_SOURCE, FUNCTION, Resource, TRIGGER};
use crate::router::route::DEFAULT_BUS;

/// Namespace (empty for a cluster's object) and name.
pub type Place = (String, String);

/// An object as the API server sends it. Who has written which field, which is half of it, is passed over.
#[derive(Clone, Debug, Deserialize)]
pub struct Sent {
    /// The elements of a list do not say what they are; the resource does.
    #[serde(default, rename = "apiVersion")]
    _api_version: Option<String>,
    #[serde(default, rename = "kind")]
    _kind: Option<String>,
    #[serde(default, deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(flatten)]
    data: Map<String, Json>,
}

/// What of an object's metadata somebody here reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    annotations: Option<std::collections::BTreeMap<String, String>>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generation: Option<i64>,
    labels: Option<std::collections::BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

fn metadata<'de, D: Deserializer<'de>>(sent: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(sent)?;
    Ok(ObjectMeta {
        annotations: read.annotations,
        deletion_timestamp: read.deletion_timestamp,
        finalizers: read.finalizers,
        generation: read.generation,
        labels: read.labels,
        name: read.name,
        namespace: read.namespace,
        owner_references: read.owner_references,
        resource_version: read.resource_version,
        uid: read.uid,
        ..ObjectMeta::default()
    })
}

impl kube::Resource for Sent {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::kind(resource)
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::group(resource)
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::version(resource)
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::plural(resource)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// An object as it is kept.
pub struct Kept {
    text: Box<str>,
    /// Whose child it is, if it is one of ours.
    of: Option<Box<str>>,
    /// The bus that it uses, if it uses one and is not about to go.
    bus: Option<Box<str>>,
    /// Another one with each change of what people write.
    edition: (Box<str>, i64),
    /// Later ones are larger.
    version: u64,
}

/// Two are the same when nobody here could tell them apart.
impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Never shows what is in it.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("of", &self.of).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Kept {
    /// What is kept of an object, and where it is.
    pub fn of(resource: &Resource, mut sent: Sent) -> (Place, Self) {
        let version = sent.metadata.resource_version.take();
        let version = version.and_then(|version| version.parse().ok()).unwrap_or(0);
        if let Some(annotations) = &mut sent.metadata.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        let labels = sent.metadata.labels.iter().flatten();
        let ours = labels.into_iter().any(|(name, value)| name == MANAGED_BY.0 && value == MANAGER);
        let mut object = Map::new();
        object.insert("apiVersion".to_owned(), resource.api_version().into());
        object.insert("kind".to_owned(), resource.kind.as_str().into());
        object.insert("metadata".to_owned(), json!(sent.metadata));
        object.extend(read(resource, ours, sent.data));
        (
            (sent.metadata.namespace.unwrap_or_default(), sent.metadata.name.unwrap_or_default()),
            Self::new(resource, &Json::Object(object), version),
        )
    }

    /// An object of this version.
    pub fn new(resource: &Resource, object: &Json, version: u64) -> Self {
        let metadata = &object["metadata"];
        let ours = metadata["labels"][MANAGED_BY.0] == MANAGED_BY.1;
        let uses = resource.is(EVENT_SOURCE) || resource.is(TRIGGER);
        let uses = uses && metadata["deletionTimestamp"].is_null();
        Self {
            text: object.to_string().into(),
            of: metadata["annotations"][OF].as_str().filter(|_| ours).map(Into::into),
            bus: uses.then(|| object["spec"]["eventBus"].as_str().unwrap_or(DEFAULT_BUS).into()),
            edition: (
                metadata["uid"].as_str().unwrap_or_default().into(),
                metadata["generation"].as_i64().unwrap_or(0),
            ),
            version,
        }
    }

    /// The object.
    pub fn read(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Whose child it is, if it is one of ours.
    pub fn owner(&self) -> Option<&str> {
        self.of.as_deref()
    }

    /// The bus that it uses, if it uses one and is not about to go.
    pub fn bus(&self) -> Option<&str> {
        self.bus.as_deref()
    }

    /// The version of the API server's; 0 when it does not count.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether people have written the same in both.
    pub fn is_edition_of(&self, other: &Self) -> bool {
        self.edition.1 != 0 && self.edition == other.edition
    }
}

/// What of the rest of an object somebody here reads. What changes all the time is not among it.
fn read(resource: &Resource, ours: bool, mut data: Map<String, Json>) -> Map<String, Json> {
    let of_ours = resource.group == crate::api::GROUP;
    let fields = |of: &Json, names: &[&str]| -> Json {
        let known = names.iter().filter(|name| !of[**name].is_null());
        known.map(|name| ((*name).to_owned(), of[*name].clone())).collect()
    };
    let part =
        |data: &Map<String, Json>, part: &str, names: &[&str]| fields(data.get(part).unwrap_or(&Json::Null), names);
    if resource.is(DEPLOYMENT) {
        let status = part(&data, "status", &["availableReplicas"]);
        data.insert("status".to_owned(), status);
    } else if resource.is(FUNCTION) && ours {
        let status = data.shift_remove("status").unwrap_or_default();
        let serving = fields(&status["serving"], &["state"]);
        // Another Trigger may deliver to it.
        data.insert("status".to_owned(), json!({"serving": serving, "addresses": status["addresses"]}));
    } else if CHILDREN.iter().any(|known| resource.is(*known)) && ours {
        // Whoever else writes a status does so for others.
        data.shift_remove("status");
    } else if !of_ours && !ours && !resource.is(COMPONENT) {
        // A target: where it is. `hosts` and so on are the routes of the KEDA HTTP add-on.
        let routes = ["ports", "hosts", "pathPrefixes", "headers", "rules"];
        let found = [
            ("spec".to_owned(), part(&data, "spec", &routes)),
            ("status".to_owned(), part(&data, "status", &["address", "addresses"])),
        ];
        data = found.into_iter().collect();
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::resource::{EVENT_BUS, SERVICE};

    fn kept(resource: &Resource, object: Json) -> (Place, Kept) {
        Kept::of(resource, serde_json::from_value(object).unwrap())
    }

    #[test]
    fn what_nobody_reads_is_not_kept_and_what_is_told_apart_by_it_is_the_same() {
        let service = Resource::of(SERVICE);
        let object = |version: &str, manager: &str| {
            json!({
                "metadata": {
                    "name": "fn", "namespace": "default", "resourceVersion": version,
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"},
                    "managedFields": [{"manager": manager}],
                },
                "spec": {"ports": [{"port": 80}], "clusterIP": "10.0.0.1"},
                "status": {"loadBalancer": {}},
            })
        };
        let (place, one) = kept(&service, object("7", "kubectl"));
        assert_eq!(place, ("default".to_owned(), "fn".to_owned()));
        assert_eq!((one.version(), one.owner(), one.bus()), (7, None, None));
        let expected = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "fn", "namespace": "default", "annotations": {"a": "b"}},
            "spec": {"ports": [{"port": 80}]}, "status": {},
        });
        assert_eq!(one.read(), expected);
        assert_eq!(one, kept(&service, object("8", "helm")).1);
    }

    #[test]
    fn the_owner_the_bus_and_the_edition_are_known_without_reading() {
        let child = json!({"metadata": {"labels": {MANAGED_BY.0: MANAGER}, "annotations": {OF: "Trigger ship"}}});
        assert_eq!(kept(&Resource::of(DEPLOYMENT), child).1.owner(), Some("Trigger ship"));
        let trigger =
            |metadata: Json, spec: Json| kept(&Resource::of(TRIGGER), json!({"metadata": metadata, "spec": spec})).1;
        assert_eq!(trigger(json!({}), json!({})).bus(), Some(DEFAULT_BUS));
        assert_eq!(trigger(json!({}), json!({"eventBus": "shop"})).bus(), Some("shop"));
        assert_eq!(trigger(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), json!({})).bus(), None);
        let bus = |uid: &str, generation: i64| {
            kept(&Resource::of(EVENT_BUS), json!({"metadata": {"uid": uid, "generation": generation}})).1
        };
        assert!(bus("a", 1).is_edition_of(&bus("a", 1)));
        assert!(!bus("a", 1).is_edition_of(&bus("a", 2)) && !bus("a", 1).is_edition_of(&bus("b", 1)));
    }
}
