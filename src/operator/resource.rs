//! The kinds of objects that the operator reads and writes.

use std::cmp::Ordering;
use std::fmt;

use kube::core::{ApiResource, GroupVersionKind};

use crate::api;

/// A kind of object. Two are the same whatever the version of their API.
#[derive(Clone, Debug)]
pub struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
}

/// A kind that is known beforehand: group, version, kind, plural.
type Known = (&'static str, &'static str, &'static str, &'static str);

pub const EVENT_SOURCE: Known = (api::GROUP, api::VERSION, "EventSource", "eventsources");
pub const EVENT_BUS: Known = (api::GROUP, api::VERSION, "EventBus", "eventbus");
pub const CLUSTER_EVENT_BUS: Known = (api::GROUP, api::VERSION, "ClusterEventBus", "clustereventbus");
pub const TRIGGER: Known = (api::GROUP, api::VERSION, "Trigger", "triggers");
pub const COMPONENT: Known = ("dapr.io", "v1alpha1", "Component", "components");
pub const CONFIG_MAP: Known = ("", "v1", "ConfigMap", "configmaps");
pub const SERVICE: Known = ("", "v1", "Service", "services");
pub const DEPLOYMENT: Known = ("apps", "v1", "Deployment", "deployments");
pub const SCALED_OBJECT: Known = ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects");
pub const TRIGGER_AUTHENTICATION: Known = ("keda.sh", "v1alpha1", "TriggerAuthentication", "triggerauthentications");
pub const FUNCTION: Known = ("core.openfunction.io", "v1beta2", "Function", "functions");
pub const SERVICE_ACCOUNT: Known = ("", "v1", "ServiceAccount", "serviceaccounts");
pub const ROLE: Known = ("rbac.authorization.k8s.io", "v1", "Role", "roles");
pub const ROLE_BINDING: Known = ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings");
pub const SECRET: Known = ("", "v1", "Secret", "secrets");
pub const NAMESPACE: Known = ("", "v1", "Namespace", "namespaces");

/// What the operator makes, in the order in which it is made: what others need comes first. Secrets are not among
/// it: it makes some, and reads none.
pub const CHILDREN: [Known; 10] = [
    SERVICE_ACCOUNT,
    ROLE,
    ROLE_BINDING,
    COMPONENT,
    CONFIG_MAP,
    SERVICE,
    DEPLOYMENT,
    TRIGGER_AUTHENTICATION,
    SCALED_OBJECT,
    FUNCTION,
];

impl Resource {
    pub fn of(known: Known) -> Self {
        let (group, version, kind, plural) = known;
        Self { group: group.into(), version: version.into(), kind: kind.into(), plural: plural.into() }
    }

    /// `apiVersion` as it stands in YAML.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    pub fn api_resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(&self.group, &self.version, &self.kind);
        ApiResource::from_gvk_with_plural(&kind, &self.plural)
    }

    pub fn is(&self, known: Known) -> bool {
        self.group == known.0 && self.kind == known.2
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Resource {}

impl PartialOrd for Resource {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Resource {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.group, &self.kind).cmp(&(&other.group, &other.kind))
    }
}

/// As `kubectl` names it: `Kind.group`.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.kind) } else { write!(f, "{}.{}", self.kind, self.group) }
    }
}
