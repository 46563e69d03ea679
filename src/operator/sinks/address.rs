//! Where an object says that it is.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::group;
use crate::api::ObjectRef;
use crate::operator::settings::Settings;

/// The group of `OpenFunction`'s Functions, whose addresses have types.
const FUNCTIONS: &str = "core.openfunction.io";

/// What the KEDA HTTP add-on calls its own, whose addresses are those of its interceptor.
const KEDA_HTTP: &str = "http.keda.sh";

/// What is sent for a header that may have any value.
const ANY_VALUE: &str = "true";

/// Where an object is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub uri: String,
    /// What a request must carry to get there.
    pub headers: BTreeMap<String, String>,
}

/// The address of an object that has one.
///
/// # Errors
/// Why it has none.
pub fn address(object: &Json, reference: &ObjectRef, settings: &Settings) -> Result<Address, String> {
    let found = match (group(reference), reference.kind.as_str()) {
        ("", "Service") => service(object, reference, &settings.domain)?,
        (KEDA_HTTP, kind) => intercepted(object, kind, &settings.keda_http)?,
        (group, _) => Address { uri: addressable(object, group)?, headers: BTreeMap::new() },
    };
    let legal = found
        .uri
        .parse::<http::Uri>()
        .is_ok_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
    if legal { Ok(found) } else { Err(format!("its address {:?} cannot be used", found.uri)) }
}

fn service(object: &Json, reference: &ObjectRef, domain: &str) -> Result<Address, String> {
    let namespace = reference.namespace.as_deref().unwrap_or_default();
    let host = format!("http://{}.{namespace}.svc.{domain}", reference.name);
    let port = port(&object["spec"]["ports"])?;
    let uri = if port == 80 { host } else { format!("{host}:{port}") };
    Ok(Address { uri, headers: BTreeMap::new() })
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

/// What the status says.
fn addressable(object: &Json, group: &str) -> Result<String, String> {
    let status = &object["status"];
    let url = if group == FUNCTIONS {
        let internal = |address: &&Json| address["type"] == "Internal";
        status["addresses"]
            .as_array()
            .and_then(|addresses| addresses.iter().find(internal))
            .map(|found| &found["value"])
    } else {
        let first = status["addresses"].as_array().and_then(|addresses| addresses.first());
        first.or(Some(&status["address"])).map(|address| &address["url"])
    };
    Ok(url.and_then(Json::as_str).ok_or("it has no address yet")?.to_owned())
}

/// How requests are told apart that go to one of the add-on's routes. One of several suffices.
struct Rule<'a> {
    hosts: Vec<&'a str>,
    path: Option<&'a str>,
    headers: &'a Json,
}

/// What a request for a rule has in `Host`.
enum Host<'a> {
    Named(&'a str),
    /// Nothing particular.
    Any,
}

impl Rule<'_> {
    /// `None` when only patterns are known.
    fn host(&self) -> Option<Host<'_>> {
        let named = self.hosts.iter().find(|host| !host.is_empty() && !host.contains('*'));
        let is_for_any = self.hosts.is_empty() || self.hosts.iter().any(|host| matches!(*host, "" | "*"));
        named.map(|host| Host::Named(host)).or(is_for_any.then_some(Host::Any))
    }
}

/// The interceptor, which knows the route by the host that a request names, by its path and by its headers, and
/// wakes what stands behind it.
fn intercepted(object: &Json, kind: &str, interceptor: &str) -> Result<Address, String> {
    let spec = &object["spec"];
    let rules: Vec<Rule<'_>> = match kind {
        "HTTPScaledObject" => {
            let path = spec["pathPrefixes"][0].as_str();
            vec![Rule { hosts: texts(&spec["hosts"]), path, headers: &spec["headers"] }]
        }
        "InterceptorRoute" => spec["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|rule| Rule {
                hosts: texts(&rule["hosts"]),
                path: rule["paths"][0]["value"].as_str(),
                headers: &rule["headers"],
            })
            .collect(),
        _ => return Err("of the KEDA HTTP add-on, an HTTPScaledObject or an InterceptorRoute is a sink".to_owned()),
    };
    if rules.is_empty() {
        return Err("it has no rules, so that the interceptor sends nothing there".to_owned());
    }
    let found = rules.iter().find_map(|rule| Some((rule, rule.host()?)));
    let (rule, host) = found.ok_or("all its hosts are patterns: it needs one that a request can name")?;
    let mut headers = BTreeMap::new();
    for header in rule.headers.as_array().into_iter().flatten() {
        let value = header["value"].as_str().unwrap_or(ANY_VALUE);
        headers.extend(header["name"].as_str().map(|name| (name.to_ascii_lowercase(), value.to_owned())));
    }
    if let Host::Named(host) = host {
        headers.insert("host".to_owned(), host.to_owned());
    }
    for (name, value) in &headers {
        if http::HeaderName::try_from(name).is_err() || http::HeaderValue::try_from(value).is_err() {
            return Err(format!("no request can have the header {name} that it asks for"));
        }
    }
    let base = interceptor.trim_end_matches('/');
    let uri = match rule.path.map(|path| path.trim_matches('/')) {
        None | Some("") => base.to_owned(),
        Some(path) => format!("{base}/{path}"),
    };
    Ok(Address { uri, headers })
}

fn texts(list: &Json) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).collect()
}
