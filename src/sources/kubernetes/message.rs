//! A change of an object to its event.

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::event::{Data, Draft, Event};
use crate::fault::{Fault, FaultKind};
use crate::flow::Poison;

/// What happened to an object, as the API server tells it: with a selector, an object that begins or ceases to match is
/// added or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Modified,
    Deleted,
}

impl Change {
    /// As in types and ids.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
        }
    }
}

/// The attributes that all events of a watch have.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) source: String,
    /// What begins the type.
    pub(super) ty: String,
    pub(super) api_version: String,
    pub(super) kind: String,
    /// The kind in paths of the API, such as `deployments`.
    pub(super) plural: String,
}

/// Which object, in which state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: String,
    pub(super) version: String,
    /// Empty for objects outside of namespaces.
    pub(super) namespace: String,
    pub(super) name: String,
    /// RFC 3339; empty when the object does not say.
    pub(super) created: String,
}

impl Identity {
    pub(super) fn of(object: &Json) -> Self {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        Self {
            uid: text("uid"),
            version: text("resourceVersion"),
            namespace: text("namespace"),
            name: text("name"),
            created: text("creationTimestamp"),
        }
    }

    /// The object as far as it is known when it is gone.
    pub(super) fn remains(&self) -> Json {
        let mut metadata = Map::new();
        let members = [
            ("name", &self.name),
            ("namespace", &self.namespace),
            ("uid", &self.uid),
            ("resourceVersion", &self.version),
            ("creationTimestamp", &self.created),
        ];
        for (name, text) in members.into_iter().filter(|(_, text)| !text.is_empty()) {
            metadata.insert(name.to_owned(), text.as_str().into());
        }
        Json::Object(Map::from_iter([("metadata".to_owned(), Json::Object(metadata))]))
    }

    /// The object's path in the API.
    fn path(&self, terms: &Terms) -> String {
        let root = if terms.api_version.contains('/') { "apis" } else { "api" };
        let namespace = match self.namespace.as_str() {
            "" => String::new(),
            namespace => format!("/namespaces/{namespace}"),
        };
        format!("/{root}/{}{namespace}/{}/{}", terms.api_version, terms.plural, self.name)
    }
}

/// The event of a change. Its id follows from the object's state and the change, so that a change that comes again is
/// recognised. `seen` is the time (RFC 3339) of changes that have none of their own.
pub(super) fn read(change: Change, object: Json, terms: &Terms, seen: &str) -> Result<Event, Poison> {
    let identity = Identity::of(&object);
    let text = whole(object, terms).to_string();
    let time = if change == Change::Added && !identity.created.is_empty() { identity.created.as_str() } else { seen };
    let id = format!("{}/{}/{}", identity.uid, identity.version, change.word());
    let mut draft = Draft::new(id, &terms.source, format!("{}.{}", terms.ty, change.word()))
        .with("subject", identity.path(terms))
        .with("time", time)
        .with("datacontenttype", "application/json")
        .with("apiversion", terms.api_version.as_str())
        .with("kind", terms.kind.as_str())
        .with("name", identity.name.as_str());
    if !identity.namespace.is_empty() {
        draft = draft.with("namespace", identity.namespace.as_str());
    }
    draft.data(Data::Text(&text)).build().map_err(|error| {
        let fault = Fault::new(FaultKind::Malformed, "read an object", "it cannot be an event").with_source(error);
        Poison { bytes: Bytes::from(text.clone()), fault }
    })
}

/// The object with its kind first, which lists leave out and metadata has another of, and without the notes of the API
/// server on who wrote which field.
fn whole(object: Json, terms: &Terms) -> Json {
    let mut whole = Map::new();
    whole.insert("apiVersion".to_owned(), terms.api_version.as_str().into());
    whole.insert("kind".to_owned(), terms.kind.as_str().into());
    let Json::Object(members) = object else { return Json::Object(whole) };
    for (name, mut value) in members {
        if name == "apiVersion" || name == "kind" {
            continue;
        }
        if name == "metadata"
            && let Json::Object(metadata) = &mut value
        {
            metadata.shift_remove("managedFields");
        }
        whole.insert(name, value);
    }
    Json::Object(whole)
}
