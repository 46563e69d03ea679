//! Sensors of Argo Events: dependencies become inputs, triggers that call HTTP become subscribers.

use serde_json::{Map, Value as Json, json};

use super::body::{self, Unwrapped};
use super::fields::{Fields, Notes, number};
use crate::api::FieldPath;

pub fn sensor(
    mut spec: Fields,
    namespace: &str,
    unwrapped: &Unwrapped,
    notes: &mut Notes,
) -> Vec<(&'static str, Json)> {
    let mut to = Map::new();
    spec.rename("eventBusName", "eventBus", &mut to);
    // The dependencies whose events come without Argo's wrapping.
    let mut bare = Vec::new();
    let mut inputs: Vec<Json> = Vec::new();
    for (path, value) in spec.list("dependencies", notes) {
        let is_bare = unwrapped.has(namespace, value["eventSourceName"].as_str().unwrap_or_default());
        if is_bare {
            bare.push(value["name"].as_str().unwrap_or_default().to_owned());
        }
        inputs.push(input(Fields::new(value, path, notes), is_bare, notes));
    }
    let triggers = spec.list("triggers", notes);
    let subscribers: Vec<Json> = triggers
        .into_iter()
        .filter_map(|(path, value)| subscriber(Fields::new(value, path, notes), &bare, notes))
        .collect();
    spec.finish(notes);
    if inputs.is_empty() || subscribers.is_empty() {
        notes.left_out(&FieldPath::root(), "nothing is left of this Sensor: no trigger of it can be converted");
        return Vec::new();
    }
    to.insert("eventSources".to_owned(), inputs.into());
    to.insert("subscribers".to_owned(), subscribers.into());
    vec![("Trigger", Json::Object(to))]
}

fn input(mut from: Fields, is_bare: bool, notes: &mut Notes) -> Json {
    let mut to = Map::new();
    from.copy(&["name", "eventSourceName", "eventName", "filtersLogicalOperator", "transform"], &mut to);
    let mut filters = from.object("filters", notes);
    let mut kinds = Map::new();
    if let Some(mut data) = filters.take("data") {
        judge_data(&mut data, is_bare, &filters.at("data"), notes);
        kinds.insert("data".to_owned(), data);
    }
    if let Some(mut exprs) = filters.take("exprs") {
        judge_exprs(&mut exprs, is_bare, &filters.at("exprs"), notes);
        kinds.insert("exprs".to_owned(), exprs);
    }
    let mut context = filters.object("context", notes);
    let mut attributes = Map::new();
    context.copy(&["type", "subject", "source", "datacontenttype"], &mut attributes);
    for (_, path, _) in context.entries() {
        notes.left_out(&path, "Argo Events ignores it as well; compare other attributes with cesql");
    }
    if !attributes.is_empty() {
        kinds.insert("context".to_owned(), attributes.into());
    }
    if filters.has("time") {
        notes
            .changed(&filters.at("time"), "an event without a time attribute does not pass; Argo reads it as midnight");
    }
    if let Some(script) = filters.take("script") {
        body::judge_program(&script, &filters.at("script"), notes);
        kinds.insert("script".to_owned(), script);
    }
    filters.copy(&["time", "dataLogicalOperator", "exprLogicalOperator"], &mut kinds);
    filters.finish(notes);
    if !kinds.is_empty() {
        to.insert("filters".to_owned(), kinds.into());
    }
    from.finish(notes);
    Json::Object(to)
}

/// What a data filter means here and did not mean there.
fn judge_data(data: &mut Json, is_bare: bool, path: &FieldPath, notes: &mut Notes) {
    for (index, item) in data.as_array_mut().into_iter().flatten().enumerate() {
        let at = path.index(index);
        if let Some(written) = item.get_mut("path") {
            body::unwrap_path(written, is_bare, &at.field("path"), notes);
        }
        if item["comparator"] == "!=" && item["value"].as_array().is_some_and(|values| values.len() > 1) {
            notes.changed(&at.field("value"), "!= with a list means none of them; in Argo Events, not all of them");
        }
        if item["type"] == "number" {
            notes.changed(&at.field("type"), "text that is no number, and null, do not pass; Argo reads them as 0");
        } else if item["type"] == "bool" {
            notes.changed(&at.field("type"), "only booleans and their texts pass; Argo takes all else for false");
        }
    }
}

fn judge_exprs(exprs: &mut Json, is_bare: bool, path: &FieldPath, notes: &mut Notes) {
    for (index, item) in exprs.as_array_mut().into_iter().flatten().enumerate() {
        let at = path.index(index).field("fields");
        let fields = item.get_mut("fields").and_then(Json::as_array_mut);
        for (place, field) in fields.into_iter().flatten().enumerate() {
            if let Some(written) = field.get_mut("path") {
                body::unwrap_path(written, is_bare, &at.index(place).field("path"), notes);
            }
        }
    }
}

/// The parts of a payload are paths into events of dependencies, or templates over them.
fn judge_payload(payload: &mut Json, bare: &[String], path: &FieldPath, notes: &mut Notes) {
    for (index, item) in payload.as_array_mut().into_iter().flatten().enumerate() {
        let at = path.index(index).field("src");
        let Some(from) = item.get_mut("src") else { continue };
        let is_bare = from["dependencyName"].as_str().is_some_and(|name| bare.iter().any(|known| known == name));
        body::judge_program(&from["dataTemplate"], &at.field("dataTemplate"), notes);
        if let Some(written) = from.get_mut("dataKey") {
            body::unwrap_path(written, is_bare, &at.field("dataKey"), notes);
        }
    }
}

fn subscriber(mut from: Fields, bare: &[String], notes: &mut Notes) -> Option<Json> {
    let mut to = Map::new();
    let mut template = from.object("template", notes);
    template.rename("name", "name", &mut to);
    template.rename("conditions", "condition", &mut to);
    template.copy(&["conditionsReset"], &mut to);
    let Some(http) = template.take("http") else {
        let kinds: Vec<String> = template.entries().into_iter().map(|(kind, ..)| kind).collect();
        let message = format!(
            "only http triggers can be converted, not {}: put a service, or a Dapr Component as sink.ref, in its place",
            if kinds.is_empty() { "an empty one".to_owned() } else { kinds.join(", ") }
        );
        notes.left_out(&from.path, message);
        return None;
    };
    let mut http = Fields::new(http, template.at("http"), notes);
    template.finish(notes);
    let Some(uri) = http.take("url") else {
        notes.left_out(&http.at("url"), "an http trigger needs a url: the whole trigger is left out");
        return None;
    };
    to.insert("sink".to_owned(), json!({ "uri": uri }));
    if let Some(method) = http.text("method").filter(|method| method != "POST") {
        notes.left_out(&http.at("method"), format!("events are sent by POST, not {method}"));
    }
    if let Some(mut payload) = http.take("payload") {
        judge_payload(&mut payload, bare, &http.at("payload"), notes);
        to.insert("parameters".to_owned(), payload);
    } else {
        notes.changed(&http.path, "without a payload Argo sends an empty body; here the event itself is sent");
    }
    delivery(&mut from, http.take("timeout").as_ref(), &http.at("timeout"), notes, &mut to);
    http.finish(notes);
    from.copy(&["rateLimit"], &mut to);
    let mut policy = from.object("policy", notes);
    policy.rename("status", "statusPolicy", &mut to);
    policy.finish(notes);
    if !to.contains_key("statusPolicy") {
        notes.changed(
            &from.path,
            "only 2xx answers are success; Argo Events takes every answer, also 500, unless policy.status is set",
        );
    }
    if let Some(dead) = from.take("dlqTrigger") {
        dead_letter(Fields::new(dead, from.at("dlqTrigger"), notes), notes, &mut to);
    }
    if from.take("atLeastOnce") != Some(Json::Bool(true)) {
        notes.changed(
            &from.path,
            "it is delivered at least once; Argo without atLeastOnce: true gives it up at the first failure, \
             whatever retryStrategy says",
        );
    }
    from.finish(notes);
    Some(Json::Object(to))
}

/// Retries and the time of one attempt. Argo's defaults are not ours: every figure is written out.
fn delivery(from: &mut Fields, timeout: Option<&Json>, at: &FieldPath, notes: &mut Notes, to: &mut Map<String, Json>) {
    let path = from.at("retryStrategy");
    let Some(retry) = from.take("retryStrategy") else {
        let mut delivery = json!({"retry": 0});
        if let Some(seconds) = timeout.and_then(number) {
            delivery["timeout"] = format!("{seconds}s").into();
        }
        to.insert("delivery".to_owned(), delivery);
        return;
    };
    if timeout.is_some() {
        notes.left_out(
            at,
            "retryStrategy excludes the block that has a timeout, which is 30s: write delivery instead of it",
        );
    }
    let mut retry = Fields::new(retry, path, notes);
    let mut figure = |name: &str, default: f64| {
        let written = retry.take(name).as_ref().and_then(number);
        written.filter(|figure| *figure > 0.0).unwrap_or(default)
    };
    let mut strategy = json!({"factor": figure("factor", 1.0), "jitter": figure("jitter", 1.0)});
    strategy["steps"] = retry.take("steps").filter(|steps| *steps != 0).unwrap_or_else(|| 5.into());
    strategy["duration"] = retry.take("duration").unwrap_or_else(|| "1s".into());
    retry.finish(notes);
    to.insert("retryStrategy".to_owned(), strategy);
}

fn dead_letter(mut from: Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    let mut template = from.object("template", notes);
    let mut http = template.object("http", notes);
    match http.take("url") {
        Some(uri) => {
            to.insert("deadLetterSink".to_owned(), json!({ "uri": uri }));
            // The name names nothing here, and the event goes there as it is.
            template.take("name");
            http.finish(notes);
            template.finish(notes);
            from.take("atLeastOnce");
            from.finish(notes);
        }
        None => notes.left_out(&from.path, "only an http trigger can be a dead letter sink"),
    }
}
