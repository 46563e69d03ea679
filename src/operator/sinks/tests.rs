//! Where objects are found to be.

use super::*;

struct One(State, Option<Json>);

impl Lookup for One {
    fn find(&self, _: &ObjectRef) -> (State, Option<Json>) {
        (self.0, self.1.clone())
    }
}

fn check(api_version: &str, kind: &str, object: Json) -> Result<String, String> {
    check_in("default", api_version, kind, State::Known, Some(object)).map(|sinks| sinks.found[0].1.uri.clone())
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
    let references = BTreeSet::from([&reference]);
    let settings = Settings {
        image: String::new(),
        namespaces: Vec::new(),
        domain: "cluster.local".into(),
        keda_http: "http://interceptor.keda:8080".into(),
        workers: 1,
        identity: String::new(),
        lease: None,
    };
    let asking = Asking { namespace, workload: "trigger-ship", settings: &settings };
    let sinks = resolve(&references, asking, &One(state, object));
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
    assert!(service(json!([{"port": 1}, {"port": 2}])).unwrap_err().contains("Service default/x: it has no port 80"));
}

#[test]
fn an_addressable_says_where_it_is() {
    let knative = |status: Json| check("serving.knative.dev/v1", "Service", json!({"status": status}));
    assert_eq!(knative(json!({"address": {"url": "http://x.ns"}})).unwrap(), "http://x.ns");
    let several = json!({"address": {"url": "http://old"}, "addresses": [{"url": "https://new"}]});
    assert_eq!(knative(several).unwrap(), "https://new");
    assert!(knative(json!({})).unwrap_err().ends_with("it has no address yet"));
    assert!(knative(json!({"address": {"url": "ftp://x"}})).unwrap_err().contains("cannot be used"));
    let addresses =
        json!({"addresses": [{"type": "External", "value": "http://e"}, {"type": "Internal", "value": "http://i"}]});
    assert_eq!(check("core.openfunction.io/v1beta2", "Function", json!({"status": addresses})).unwrap(), "http://i");
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
    let check = |namespace, object| check_in(namespace, "dapr.io/v1alpha1", "Component", State::Known, Some(object));
    let sinks = check("default", binding.clone()).unwrap();
    assert_eq!(sinks.plan[0]["component"], "trigger-ship-sink.x");
    assert_eq!(sinks.copies[0].1["scopes"], json!(["trigger-ship"]));
    let sinks = check("default", json!({"spec": {"type": "pubsub.redis"}})).unwrap();
    assert_eq!(sinks.plan[0]["component"], "x");
    assert!(check("elsewhere", binding).unwrap_err().contains("its own namespace only"));
}

#[test]
fn a_sink_of_the_http_add_on_is_its_interceptor_and_what_tells_the_route() {
    let check = |kind: &str, spec: Json| {
        check_in("default", "http.keda.sh/v1", kind, State::Known, Some(json!({"spec": spec})))
            .map(|sinks| sinks.plan[0].clone())
    };
    let expect = |kind: &str, spec: Json, uri: &str, headers: Json| {
        let entry = check(kind, spec).unwrap();
        assert_eq!((&entry["uri"], &entry["headers"]), (&json!(uri), &headers));
    };
    let base = "http://interceptor.keda:8080";
    let old = |spec: Json, uri: &str, headers: Json| expect("HTTPScaledObject", spec, uri, headers);
    old(json!({"hosts": ["fn.example", "other"]}), base, json!({"host": "fn.example"}));
    old(json!({"hosts": ["*.example", "fn.example"]}), base, json!({"host": "fn.example"}));
    old(json!({"pathPrefixes": ["/"]}), base, Json::Null);
    old(
        json!({"hosts": ["fn"], "pathPrefixes": ["/a/b/"], "headers": [{"name": "X-Team", "value": "a"}, {"name": "X-Any"}]}),
        &format!("{base}/a/b"),
        json!({"host": "fn", "x-team": "a", "x-any": "true"}),
    );
    let new = |rules: Json, uri: &str, headers: Json| expect("InterceptorRoute", json!({"rules": rules}), uri, headers);
    new(json!([{"hosts": ["*.example"]}, {"hosts": ["fn"]}]), base, json!({"host": "fn"}));
    new(json!([{"paths": [{"value": "/a"}], "hosts": ["*"]}]), &format!("{base}/a"), Json::Null);

    let refused = |kind: &str, spec: Json, expected: &str| {
        let error = check(kind, spec).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    refused("HTTPScaledObject", json!({"hosts": ["*.example"]}), "all its hosts are patterns");
    refused("InterceptorRoute", json!({}), "it has no rules");
    refused("InterceptorRoute", json!({"rules": [{"hosts": ["a\nb"]}]}), "no request can have the header host");
    refused("HTTPScaledObject", json!({"pathPrefixes": ["/a b"]}), "cannot be used");
    refused("Interceptor", json!({}), "an HTTPScaledObject or an InterceptorRoute");
}

#[test]
fn the_status_says_how_the_interceptor_is_asked() {
    let route = json!({"spec": {"rules": [{"hosts": ["fn.example"]}]}});
    let sinks = check_in("default", "http.keda.sh/v1beta1", "InterceptorRoute", State::Known, Some(route)).unwrap();
    let reference = sinks.found[0].0.clone();
    let target = Target::Object { reference, path: Some("/in".into()) };
    assert_eq!(sinks.address(&target).unwrap(), "http://interceptor.keda:8080/in (Host: fn.example)");
}
