//! What a workload may see of the cluster: an `EventSource` that watches objects has an account of its own, which may
//! list and watch their kinds in its namespace.
//!
//! Beyond that nothing is granted here. Who writes an `EventSource` need not be somebody who may look into other
//! namespaces, and must not come to it by way of the operator.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::api::Problems;
use crate::api::event_source::KubernetesEvent;
use crate::layout::Event;
use crate::operator::child::{Child, Owner};
use crate::operator::resource::{ROLE, ROLE_BINDING, Resource, SERVICE_ACCOUNT};
use crate::sources::kubernetes::config::{Config, Scope};

/// A kind as the API server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    pub group: String,
    pub plural: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
}

/// Kinds by their `apiVersion` and `kind`, as people write them.
pub type Kinds = BTreeMap<(String, String), Kind>;

/// What a workload is granted, and what somebody else has to grant it.
#[derive(Debug, Default)]
pub struct Access {
    pub children: Vec<Child>,
    pub warnings: Vec<String>,
}

/// What the intake of these events is granted. Nothing when none of them watches objects.
///
/// # Errors
/// When a kind is not known.
pub fn access(owner: &Owner, workload: &str, events: &[Event<'_>], kinds: &Kinds) -> Result<Access, String> {
    let mut access = Access::default();
    let mut rules: BTreeSet<(&str, &str)> = BTreeSet::new();
    let watching = events.iter().filter(|event| event.kind == super::KUBERNETES);
    let mut watches = false;
    for event in watching {
        watches = true;
        let path = event.path();
        let raw: KubernetesEvent =
            serde_json::from_value(Json::Object(event.settings.clone())).map_err(|error| format!("{path}: {error}"))?;
        let config = Config::parse(&raw, Some(&owner.namespace), &path, &mut Problems::new());
        let kind = kinds.get(&(config.api_version(), config.kind.clone()));
        let kind = kind.ok_or_else(|| format!("{path}: its kind is not known"))?;
        let (inside, outside) = match &config.scope {
            _ if !kind.namespaced => (false, true),
            Scope::All => (false, true),
            Scope::Own(_) => (true, false),
            Scope::These(names) => {
                (names.contains(&owner.namespace), names.iter().any(|name| *name != owner.namespace))
            }
        };
        if inside {
            rules.insert((&kind.group, &kind.plural));
        }
        if outside {
            let Owner { namespace, .. } = owner;
            let of =
                if kind.group.is_empty() { kind.plural.clone() } else { format!("{}.{}", kind.plural, kind.group) };
            access.warnings.push(format!(
                "{path}: outside of namespace {namespace} nothing is granted here: let somebody bind the account \
                 {namespace}/{workload} to a role with list and watch on {of}"
            ));
        }
    }
    if !watches {
        return Ok(access);
    }
    let child = |known, body| Child::new(Resource::of(known), workload, owner, workload, body);
    access.children.push(child(SERVICE_ACCOUNT, json!({})));
    if !rules.is_empty() {
        let granted =
            |(group, plural)| json!({"apiGroups": [group], "resources": [plural], "verbs": ["list", "watch"]});
        access.children.push(child(ROLE, json!({"rules": rules.into_iter().map(granted).collect::<Vec<_>>()})));
        let role = json!({"apiGroup": ROLE.0, "kind": ROLE.2, "name": workload});
        let subject = json!({"kind": SERVICE_ACCOUNT.2, "name": workload, "namespace": owner.namespace});
        access.children.push(child(ROLE_BINDING, json!({"roleRef": role, "subjects": [subject]})));
    }
    Ok(access)
}
