//! A workload as a Function of `OpenFunction`, which makes the Deployment and its scaler itself: an asynchronous
//! function whose daprd is a sidecar, with the image, the pod and the annotations of the Deployment that it stands
//! in the place of. Its Components, its plan and its Service are the same ones.

use serde_json::{Map, Value as Json, json};

use super::workload::CONTAINER as OURS;
use crate::operator::child::{Child, MANAGED_BY, Owner};
use crate::operator::names;
use crate::operator::resource::{COMPONENT, DEPLOYMENT, FUNCTION, Resource, SCALED_OBJECT};

/// The container that `OpenFunction` puts a function's image into.
const CONTAINER: &str = "function";

/// What stands on the pods besides what is on those of a Deployment. daprd is beside the function instead of in a
/// pod of its own, and calls nobody: everything comes and goes on streams that the function opens, and with a port
/// daprd would wait for somebody to listen there.
const ANNOTATIONS: [(&str, &str); 3] = [
    ("openfunction.io/enable-dapr", "true"),
    ("openfunction.io/dapr-service-mode", "sidecar"),
    ("dapr.io/app-port", "0"),
];

/// The annotation that names the containers with sockets.
const PLUGGABLE: &str = "dapr.io/pluggable-components";

/// The fields of a `ScaledObject` that a Function has a place for, and where.
const SCALING: [(&str, &str); 8] = [
    ("minReplicaCount", "/minReplicas"),
    ("maxReplicaCount", "/maxReplicas"),
    ("pollingInterval", "/keda/scaledObject/pollingInterval"),
    ("cooldownPeriod", "/keda/scaledObject/cooldownPeriod"),
    ("advanced", "/keda/scaledObject/advanced"),
    ("fallback", "/keda/scaledObject/fallback"),
    ("triggers", "/keda/triggers"),
    // OpenFunction names its own Deployment.
    ("scaleTargetRef", ""),
];

/// Puts a Function in the place of each Deployment, and of what scales it.
///
/// # Errors
/// When it cannot be said to `OpenFunction`.
pub fn functions(owner: &Owner, mut children: Vec<Child>) -> Result<Vec<Child>, String> {
    let is = |child: &Child, known| child.resource.is(known);
    let deployments: Vec<Child> = children.extract_if(.., |child| is(child, DEPLOYMENT)).collect();
    let scalers: Vec<Child> = children.extract_if(.., |child| is(child, SCALED_OBJECT)).collect();
    for deployment in deployments {
        let workload = deployment.name.as_str();
        let scaler = scalers.iter().find(|scaler| scaler.name == workload);
        let components = children.iter().filter(|child| is(child, COMPONENT) && child.object["scopes"][0] == workload);
        let spec = function(&deployment, components, scaler)?;
        let name = names::function(workload);
        children.push(Child::new(Resource::of(FUNCTION), &name, owner, workload, json!({"spec": spec})));
    }
    Ok(children)
}

fn function<'a>(
    deployment: &Child,
    components: impl Iterator<Item = &'a Child>,
    scaler: Option<&Child>,
) -> Result<Json, String> {
    let template = &deployment.object["spec"]["template"];
    let mut pod = template["spec"].clone();
    let containers = pod["containers"].as_array_mut().into_iter().flatten();
    let mut image = Json::Null;
    let mut reads_bus = false;
    for container in containers.filter(|container| container["name"] == OURS) {
        container["name"] = CONTAINER.into();
        reads_bus = container["args"][0] == "router";
        image = container.as_object_mut().and_then(|container| container.remove("image")).unwrap_or_default();
    }
    let mut annotations = template["metadata"]["annotations"].clone();
    for (name, value) in ANNOTATIONS {
        if annotations[name].is_null() {
            annotations[name] = value.into();
        }
    }
    if let Some(named) = annotations[PLUGGABLE].as_str() {
        let named: Vec<&str> = named.split(',').map(|name| if name == OURS { CONTAINER } else { name }).collect();
        annotations[PLUGGABLE] = named.join(",").into();
    }
    let mut labels = template["metadata"]["labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        // What OpenFunction makes is managed by that.
        labels.remove(MANAGED_BY.0);
    }
    let mut serving = json!({"annotations": annotations, "labels": labels, "template": pod});
    let bus = names::bus_component(&deployment.name);
    let (mut from, mut to) = (Vec::new(), Vec::new());
    for component in components {
        let ty = &component.object["spec"]["type"];
        // Nothing comes from a state store, and nothing goes there: daprd has it by its scope.
        if ty.as_str().is_some_and(|ty| ty.starts_with("state.")) {
            continue;
        }
        let reference = json!({"name": component.name, "type": ty});
        if (component.name == bus) == reads_bus {
            from.push(reference);
        } else {
            to.push(json!({"dapr": reference}));
        }
    }
    // Without one, the function would be taken for one that is called by HTTP.
    serving["triggers"] = json!({"dapr": from});
    if !to.is_empty() {
        serving["outputs"] = to.into();
    }
    if let Some(scaler) = scaler {
        serving["scaleOptions"] = scaling(&scaler.object["spec"])?;
    }
    Ok(json!({"image": image, "serving": serving}))
}

/// What a `ScaledObject` says, as a Function says it.
fn scaling(spec: &Json) -> Result<Json, String> {
    let mut options = json!({"keda": {"scaledObject": {}, "triggers": []}});
    for (field, value) in spec.as_object().unwrap_or(&Map::new()) {
        let known = SCALING.iter().find(|(known, _)| known == field);
        let (_, place) = known.ok_or_else(|| format!("spec.workload: a function cannot be scaled with {field}"))?;
        let Some((above, last)) = place.rsplit_once('/') else { continue };
        if let Some(above) = options.pointer_mut(above) {
            above[last] = value.clone();
        }
    }
    Ok(options)
}
