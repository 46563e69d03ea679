//! Where the objects are that sinks refer to.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::interest::Watched;
use super::names;
use super::resource::{COMPONENT, Resource, SERVICE};
use super::world::State;
use crate::api::ObjectRef;
use crate::router::route::{DeadLetter, Target, Trigger};

/// The group of `OpenFunction`'s Functions, whose addresses have types.
const FUNCTIONS: &str = "core.openfunction.io";

/// What the KEDA HTTP add-on calls its own, whose addresses are those of its interceptor.
const KEDA_HTTP: &str = "http.keda.sh";

/// How objects are looked up.
pub trait Lookup {
    /// The object, if it is known, and whether its kind is; asks for the kind to be watched otherwise.
    fn find(&self, reference: &ObjectRef) -> (State, Option<Json>);
}

/// The sinks of one workload, for its plan and for the status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sinks {
    /// The part `sinks` of a plan.
    pub plan: Vec<Json>,
    /// Where each object is.
    pub found: Vec<(ObjectRef, String)>,
    /// What was not found, and why.
    pub missing: Vec<String>,
    /// Whether nothing but time is missing.
    pub waits: bool,
    /// Components that are copied, because the workload is not in their scope.
    pub copies: Vec<(String, Json)>,
}

impl Sinks {
    /// Where a target is, for the status.
    pub fn address(&self, target: &Target) -> Option<String> {
        match target {
            Target::Object { reference, path } => {
                let (_, base) = self.found.iter().find(|(known, _)| known == reference)?;
                Some(format!("{}{}", base.trim_end_matches('/'), path.as_deref().unwrap_or_default()))
            }
            Target::Component { reference, .. } => {
                self.found.iter().find(|(known, _)| known == reference).map(|(_, name)| name.clone())
            }
            Target::Http(_) | Target::Topic(_) | Target::Log => Some(target.to_string()),
        }
    }
}

/// Every object that a Trigger refers to, once.
pub fn references(trigger: &Trigger) -> Vec<(&ObjectRef, Option<String>)> {
    let mut found: Vec<(&ObjectRef, Option<String>)> = Vec::new();
    for subscriber in &trigger.subscribers {
        let dead_letters = match &subscriber.dead_letter {
            DeadLetter::Targets(targets) => targets.as_slice(),
            DeadLetter::Generated => &[],
        };
        for target in subscriber.targets.iter().chain(dead_letters) {
            let (Target::Object { reference, .. } | Target::Component { reference, .. }) = target else { continue };
            // The topic of a pub/sub Component for which neither the sink nor the Component names one.
            let topic = format!("{}-{}", trigger.name, subscriber.name);
            if found.iter().all(|(known, _)| *known != reference) {
                found.push((reference, matches!(target, Target::Component { topic: None, .. }).then_some(topic)));
            }
        }
    }
    found
}

/// The objects that must be looked at again when they change.
pub fn watched(references: &[(&ObjectRef, Option<String>)]) -> BTreeSet<Watched> {
    let watched = |reference: &ObjectRef| Watched {
        group: group(reference).to_owned(),
        kind: reference.kind.clone(),
        namespace: reference.namespace.clone().unwrap_or_default(),
        name: reference.name.clone(),
    };
    references.iter().map(|(reference, _)| watched(reference)).collect()
}

/// Finds every object that the Triggers of a workload refer to. One that is not there holds the events: the
/// workload is told so, and tries again until their deadline.
pub fn resolve(
    references: &[(&ObjectRef, Option<String>)],
    (namespace, workload, domain): (&str, &str, &str),
    lookup: &dyn Lookup,
) -> Sinks {
    let mut sinks = Sinks::default();
    for (reference, topic) in references {
        let (state, object) = lookup.find(reference);
        let found = match (&object, is_component(reference)) {
            (Some(object), true) if reference.namespace.as_deref() == Some(namespace) => {
                Ok(component(object, reference, topic.as_deref(), workload, &mut sinks))
            }
            (_, true) if reference.namespace.as_deref() != Some(namespace) => {
                Err("daprd loads Components of its own namespace only".to_owned())
            }
            (Some(object), _) => address(object, reference, domain).map(|uri| (json!({"uri": uri}), uri)),
            (None, _) => Err(absent(state).to_owned()),
        };
        match found {
            Ok((mut entry, address)) => {
                entry["ref"] = json!(reference);
                sinks.plan.push(entry);
                sinks.found.push(((*reference).clone(), address));
            }
            Err(why) => {
                sinks.waits |= state == State::Unread;
                let why = format!("{}: {why}", name(reference));
                sinks.plan.push(json!({"ref": reference, "unresolved": why}));
                sinks.missing.push(why);
            }
        }
    }
    sinks
}

/// Why an object that is not known is not.
pub fn absent(state: State) -> &'static str {
    match state {
        State::Unread => "not looked up yet",
        State::Known => "there is none",
        State::Missing => "the cluster has no such kind",
        State::Forbidden => "the operator may not read this kind",
    }
}

/// The entry of a Component in a plan, and its name beside the workload.
fn component(
    object: &Json,
    reference: &ObjectRef,
    topic: Option<&str>,
    workload: &str,
    sinks: &mut Sinks,
) -> (Json, String) {
    let scopes = object["scopes"].as_array().cloned().unwrap_or_default();
    let in_scope = scopes.is_empty() || scopes.iter().any(|scope| scope == workload);
    let name = if in_scope {
        reference.name.clone()
    } else {
        let name = names::copied_component(workload, &reference.name);
        let mut copy = json!({"spec": object["spec"], "scopes": [workload]});
        if !object["auth"].is_null() {
            copy["auth"] = object["auth"].clone();
        }
        sinks.copies.push((name.clone(), copy));
        name
    };
    let mut entry = json!({"component": name});
    let is_pub_sub = object["spec"]["type"].as_str().is_some_and(|ty| ty.starts_with("pubsub."));
    if let Some(topic) = topic.filter(|_| is_pub_sub) {
        entry["topic"] = topic.into();
    }
    (entry, name)
}

/// The address of an object that has one.
fn address(object: &Json, reference: &ObjectRef, domain: &str) -> Result<String, String> {
    let namespace = reference.namespace.as_deref().unwrap_or_default();
    if group(reference).is_empty() && reference.kind == "Service" {
        let host = format!("http://{}.{namespace}.svc.{domain}", reference.name);
        let port = port(&object["spec"]["ports"])?;
        return Ok(if port == 80 { host } else { format!("{host}:{port}") });
    }
    if group(reference) == KEDA_HTTP {
        return Err("a sink of the KEDA HTTP add-on is not supported by this version yet".to_owned());
    }
    let status = &object["status"];
    let url = if group(reference) == FUNCTIONS {
        let internal = |address: &&Json| address["type"] == "Internal";
        status["addresses"]
            .as_array()
            .and_then(|addresses| addresses.iter().find(internal))
            .map(|found| &found["value"])
    } else {
        let first = status["addresses"].as_array().and_then(|addresses| addresses.first());
        first.or(Some(&status["address"])).map(|address| &address["url"])
    };
    let url = url.and_then(Json::as_str).ok_or("it has no address yet")?;
    let legal = url
        .parse::<http::Uri>()
        .is_ok_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
    if legal { Ok(url.to_owned()) } else { Err(format!("its address {url:?} cannot be used")) }
}

/// Port 80, as everybody expects; else the one called `http`, else the only one.
fn port(ports: &Json) -> Result<u64, String> {
    let ports = ports.as_array().map(Vec::as_slice).unwrap_or_default();
    let by = |field: &str, value: Json| ports.iter().find(|port| port[field] == value);
    let only = || if let [one] = ports { Some(one) } else { None };
    let found = by("port", 80.into()).or_else(|| by("name", "http".into())).or_else(only);
    let port = found.and_then(|port| port["port"].as_u64());
    port.ok_or_else(|| "it has no port 80, none called http, and not just one: write its address as uri".to_owned())
}

fn group(reference: &ObjectRef) -> &str {
    reference.api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The kind that a reference is to, with the version that it names.
pub fn resource(reference: &ObjectRef) -> Resource {
    let version = reference.api_version.split_once('/').map_or(reference.api_version.as_str(), |(_, version)| version);
    if is_component(reference) {
        return Resource::of(COMPONENT);
    }
    if group(reference).is_empty() && reference.kind == "Service" {
        return Resource::of(SERVICE);
    }
    Resource {
        group: group(reference).to_owned(),
        version: version.to_owned(),
        kind: reference.kind.clone(),
        plural: String::new(),
    }
}

fn is_component(reference: &ObjectRef) -> bool {
    group(reference) == COMPONENT.0 && reference.kind == COMPONENT.2
}

fn name(reference: &ObjectRef) -> String {
    format!("{} {}/{}", reference.kind, reference.namespace.as_deref().unwrap_or_default(), reference.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(State, Option<Json>);

    impl Lookup for One {
        fn find(&self, _: &ObjectRef) -> (State, Option<Json>) {
            (self.0, self.1.clone())
        }
    }

    fn check(api_version: &str, kind: &str, object: Json) -> Result<String, String> {
        check_in("default", api_version, kind, State::Known, Some(object)).map(|sinks| sinks.found[0].1.clone())
    }

    fn check_in(
        namespace: &str,
        api_version: &str,
        kind: &str,
        state: State,
        object: Option<Json>,
    ) -> Result<Sinks, String> {
        let reference = ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            name: "x".into(),
            namespace: Some("default".into()),
        };
        let references = [(&reference, Some("ship-0".to_owned()))];
        let sinks = resolve(&references, (namespace, "trigger-ship", "cluster.local"), &One(state, object));
        match sinks.missing.first() {
            Some(missing) => Err(missing.clone()),
            None => Ok(sinks),
        }
    }

    #[test]
    fn a_service_has_the_port_that_everybody_expects() {
        let service = |ports: Json| check("v1", "Service", json!({"spec": {"ports": ports}}));
        let host = "http://x.default.svc.cluster.local";
        assert_eq!(service(json!([{"port": 80}, {"port": 81}])).unwrap(), host);
        assert_eq!(service(json!([{"port": 8080}])).unwrap(), format!("{host}:8080"));
        assert_eq!(service(json!([{"port": 1}, {"port": 2, "name": "http"}])).unwrap(), format!("{host}:2"));
        assert!(
            service(json!([{"port": 1}, {"port": 2}])).unwrap_err().contains("Service default/x: it has no port 80")
        );
    }

    #[test]
    fn an_addressable_says_where_it_is() {
        let knative = |status: Json| check("serving.knative.dev/v1", "Service", json!({"status": status}));
        assert_eq!(knative(json!({"address": {"url": "http://x.ns"}})).unwrap(), "http://x.ns");
        let several = json!({"address": {"url": "http://old"}, "addresses": [{"url": "https://new"}]});
        assert_eq!(knative(several).unwrap(), "https://new");
        assert!(knative(json!({})).unwrap_err().ends_with("it has no address yet"));
        assert!(knative(json!({"address": {"url": "ftp://x"}})).unwrap_err().contains("cannot be used"));
        let addresses = json!({"addresses": [{"type": "External", "value": "http://e"}, {"type": "Internal", "value": "http://i"}]});
        assert_eq!(
            check("core.openfunction.io/v1beta2", "Function", json!({"status": addresses})).unwrap(),
            "http://i"
        );
    }

    #[test]
    fn what_is_not_there_is_told_and_held() {
        let service = |state| check_in("default", "v1", "Service", state, None).unwrap_err();
        assert_eq!(service(State::Known), "Service default/x: there is none");
        assert_eq!(service(State::Missing), "Service default/x: the cluster has no such kind");
    }

    #[test]
    fn a_component_is_copied_when_it_is_not_in_scope() {
        let binding = json!({"spec": {"type": "bindings.http"}, "scopes": ["other"]});
        let check =
            |namespace, object| check_in(namespace, "dapr.io/v1alpha1", "Component", State::Known, Some(object));
        let sinks = check("default", binding.clone()).unwrap();
        assert_eq!(sinks.plan[0]["component"], "trigger-ship-sink.x");
        assert_eq!(sinks.copies[0].1["scopes"], json!(["trigger-ship"]));
        let sinks = check("default", json!({"spec": {"type": "pubsub.redis"}})).unwrap();
        assert_eq!((&sinks.plan[0]["component"], &sinks.plan[0]["topic"]), (&json!("x"), &json!("ship-0")));
        assert!(check("elsewhere", binding).unwrap_err().contains("its own namespace only"));
    }
}
