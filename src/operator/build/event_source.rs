//! An `EventSource`: the Components of its events, and the intake that takes them to the bus.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::access::{Kinds, access};
use super::bus::Beside;
use super::inline::Inline;
use super::scaler::intake;
use super::workload::{Workload, port_name};
use super::{Bus, KUBERNETES, component, plan};
use crate::api::Problems;
use crate::api::event_source::{EventSourceSpec, HttpEvent};
use crate::api::status::{EventAddress, EventTopic};
use crate::layout::{self, Event, Feed, Setting, feed, intake_plan};
use crate::operator::child::{Child, Owner};
use crate::operator::names;
use crate::operator::resource::{Resource, SERVICE};
use crate::operator::settings::Settings;

/// The kinds that keep how far they have come.
const KEEP_STATE: [&str; 2] = ["cron", KUBERNETES];

/// The bus whose state has one writer at a time: a second one would take turns with the routers.
const ONE_WRITER: &str = "eventbus.kafka";

/// What is said about a login that KEDA would need too.
const LOGIN: &str = "the address has a login, which would stand in the ScaledObject for everybody to read: name a \
                     TriggerAuthentication as authRef";

/// What an `EventSource` comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listening {
    pub children: Vec<Child>,
    pub topics: Vec<EventTopic>,
    pub addresses: Vec<EventAddress>,
    /// What has no effect.
    pub warnings: Vec<String>,
}

/// What the `EventSource` of `owner` comes to on a bus.
///
/// # Errors
/// What has no place in a cluster.
pub fn event_source(
    owner: &Owner,
    raw: &Map<String, Json>,
    spec: &EventSourceSpec,
    bus: &Bus,
    (kinds_known, settings): (&Kinds, &Settings),
) -> Result<Listening, String> {
    let workload = names::workload("eventsource", &owner.name);
    let defaults = bus.defaults();
    let Beside { children, kind: bus_kind, .. } = bus.components(owner, &workload, None)?;
    let mut listening = Listening { children, ..Listening::default() };
    let mut kinds: BTreeSet<String> = bus_kind.iter().cloned().collect();
    let (mut feeds, mut ports, mut made_of) = (Vec::new(), BTreeSet::new(), Vec::new());
    let mut problems = Problems::new();
    let events = layout::events(raw);
    for event in &events {
        let name = names::event_component(&workload, event.name);
        let origin = format!("/{}/{}/{}", owner.namespace, owner.name, event.name);
        let mut inline = Inline::new(owner, &workload, &name);
        let mut secrets = |key: &str, written: Json| inline.setting(key, written);
        let mut made = layout::source(&name, &origin, event, &mut secrets, &mut problems);
        match inline.take_logins(&mut made) {
            Ok(moved) if moved.is_empty() || !is_scaled_without_proof(event) => {}
            Ok(_) => problems.push(&event.path().field("scaleOption"), LOGIN),
            Err(why) => problems.push(&event.path(), why),
        }
        if KEEP_STATE.contains(&event.kind) {
            match &bus_kind {
                Some(kind) if kind != ONE_WRITER => {
                    made.set(layout::STATE_BUS, Setting::Value(names::bus(&bus.namespace, &bus.name)));
                }
                _ => listening.warnings.push(format!(
                    "{}: how far it has come is kept while the pod lives: the bus has no place for it",
                    event.path()
                )),
            }
        }
        listening.children.extend(inline.children);
        listening.children.push(component(&made, owner, &workload));
        made_of.push((*event, made));
        kinds.insert(format!("eventsource.{}", event.kind));
        let topic = defaults.topics.topic(&owner.namespace, &owner.name, event.name);
        let from = Feed { from: &name, topic: &topic, namespace: &owner.namespace, event_source: &owner.name };
        feeds.push(feed(from, event));
        if let Some(webhook) = webhook(event, spec) {
            let (port, url) = listens(event, webhook, owner, &workload, &settings.domain);
            ports.insert(port);
            listening.addresses.push(EventAddress { event: event.name.to_owned(), url });
        }
        listening.topics.push(EventTopic { event: event.name.to_owned(), topic });
    }
    if !problems.is_empty() {
        return Err(problems.to_string());
    }
    listening.children.push(plan(&intake_plan(&names::bus_component(&workload), &feeds), owner, &workload));
    if !ports.is_empty() {
        listening.children.push(service(owner, &workload, &ports));
    }
    let access = access(owner, &workload, &events, kinds_known)?;
    let account = (!access.children.is_empty()).then_some(workload.as_str());
    // Before what uses it.
    listening.children.splice(0..0, access.children);
    listening.warnings.extend(access.warnings);
    let template = spec.template.as_ref().map(|template| json!(template));
    let pod = Workload {
        name: &workload,
        command: "intake",
        kinds,
        ports,
        image: &settings.image,
        account,
        log_level: spec.log_level.as_deref(),
        template: template.as_ref(),
    };
    listening.children.push(pod.deployment(owner));
    let scaler = intake(owner, &workload, &made_of)?;
    listening.children.extend(scaler.children);
    listening.warnings.extend(scaler.warnings);
    Ok(listening)
}

/// Whether KEDA would have to read the address of an event, and nothing says how it proves who it is.
fn is_scaled_without_proof(event: &Event<'_>) -> bool {
    let option = event.settings.get("scaleOption").filter(|option| !option.is_null());
    option.is_some_and(|option| option["authRef"].is_null())
}

/// The settings of a webhook, if the events come to a port.
fn webhook<'a>(event: &Event<'_>, spec: &'a EventSourceSpec) -> Option<&'a HttpEvent> {
    match event.kind {
        "http" => spec.http.as_ref()?.get(event.name),
        "s3" => spec.s3.as_ref()?.get(event.name).filter(|raw| raw.endpoint.is_none()).map(|raw| &raw.http),
        _ => None,
    }
}

/// The port and the address of a webhook.
fn listens(event: &Event<'_>, raw: &HttpEvent, owner: &Owner, workload: &str, domain: &str) -> (u16, String) {
    let port = raw.port.unwrap_or(crate::sources::http::config::DEFAULT_PORT);
    let default = format!("/{}", event.name);
    let path = raw.path.as_deref().unwrap_or(&default);
    let scheme = if raw.tls.is_some() { "https" } else { "http" };
    (port, format!("{scheme}://{workload}.{}.svc.{domain}:{port}{path}", owner.namespace))
}

fn service(owner: &Owner, workload: &str, ports: &BTreeSet<u16>) -> Child {
    let selector = json!({"app.kubernetes.io/name": "penstock", "app.kubernetes.io/instance": names::label(workload)});
    let ports: Vec<Json> = ports
        .iter()
        .map(|port| json!({"name": port_name(*port), "port": port, "targetPort": port_name(*port), "protocol": "TCP"}))
        .collect();
    let spec = json!({"selector": selector, "ports": ports});
    Child::new(Resource::of(SERVICE), workload, owner, workload, json!({"spec": spec}))
}
