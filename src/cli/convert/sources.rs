//! `EventSources` of Argo Events.

use serde_json::{Map, Value as Json, json};

use super::fields::{Fields, Notes, number};
use crate::api::FieldPath;

/// How the settings of one event are converted.
type Convert = fn(&mut Fields, &mut Notes, &mut Map<String, Json>);

/// Argo's kinds and ours.
const KINDS: [(&str, &str, Convert); 6] = [
    ("webhook", "http", webhook),
    ("calendar", "cron", calendar),
    ("kafka", "kafka", kafka),
    ("mqtt", "mqtt", mqtt),
    ("nats", "nats", nats),
    ("redisStream", "redis", redis_stream),
];

pub fn event_source(mut spec: Fields, notes: &mut Notes) -> Vec<(&'static str, Json)> {
    let mut to = Map::new();
    spec.rename("eventBusName", "eventBus", &mut to);
    let mut found = false;
    for (theirs, ours, convert) in KINDS {
        let mut events = Map::new();
        for (name, path, value) in spec.object(theirs, notes).entries() {
            let mut from = Fields::new(value, path, notes);
            let mut event = Map::new();
            convert(&mut from, notes, &mut event);
            common(&mut from, notes, &mut event);
            from.finish(notes);
            events.insert(name, event.into());
        }
        if !events.is_empty() {
            found = true;
            to.insert(ours.to_owned(), events.into());
        }
    }
    spec.finish(notes);
    if !found {
        let known: Vec<&str> = KINDS.iter().map(|(theirs, ..)| *theirs).collect();
        let message = format!("nothing is left of this EventSource; kinds that can be converted: {}", known.join(", "));
        notes.left_out(&FieldPath::root(), message);
        return Vec::new();
    }
    vec![("EventSource", Json::Object(to))]
}

fn common(from: &mut Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    from.copy(&["jsonBody"], to);
    if from.take("filter").is_some() {
        let path = from.at("filter");
        notes.left_out(&path, "a source has no filter: write it as a filter of the Trigger's input");
    }
    if let Some(backoff) = from.take("connectionBackoff") {
        let mut backoff = Fields::new(backoff, from.at("connectionBackoff"), notes);
        let mut written = Map::new();
        backoff.copy(&["duration", "steps"], &mut written);
        for name in ["factor", "jitter"] {
            if let Some(figure) = backoff.take(name).as_ref().and_then(number) {
                written.insert(name.to_owned(), figure.into());
            }
        }
        backoff.finish(notes);
        to.insert("connectionBackoff".to_owned(), written.into());
    }
}

fn wrapped(from: &Fields, members: &str, notes: &mut Notes) {
    let message = format!(
        "Argo's payload is {{{members}}}; here the body itself is the data: paths of Sensors lose \"body.\", and the other members are gone"
    );
    notes.changed(&from.path, message);
}

fn webhook(from: &mut Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    wrapped(from, "header, body", notes);
    from.rename("endpoint", "path", to);
    if let Some(method) = from.take("method") {
        to.insert("methods".to_owned(), json!([method]));
    }
    if let Some(port) = from.text("port") {
        let number = port.parse::<u16>().map_or_else(|_| Json::String(port), Json::from);
        to.insert("port".to_owned(), number);
    }
    from.rename("maxPayloadSize", "maxBodyBytes", to);
    from.secret("authSecret", "bearer", to);
    let mut tls = Map::new();
    from.secret("serverCertSecret", "cert", &mut tls);
    from.secret("serverKeySecret", "key", &mut tls);
    if !tls.is_empty() {
        to.insert("tls".to_owned(), tls.into());
    }
}

fn calendar(from: &mut Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    let message = "Argo's payload is {eventTime}; here the time is the attribute time, and data is what data says";
    notes.changed(&from.path, message);
    from.copy(&["schedule", "timezone"], to);
    if let Some(interval) = from.text("interval") {
        if to.contains_key("schedule") {
            notes.left_out(&from.at("interval"), "schedule wins");
        } else {
            to.insert("schedule".to_owned(), format!("@every {interval}").into());
        }
    }
}

fn kafka(from: &mut Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    wrapped(from, "topic, key, body, partition, timestamp, headers", notes);
    from.copy(&["url", "topic"], to);
    if let Some(partition) = from.text("partition") {
        let number = partition.parse::<i32>().map_or_else(|_| Json::String(partition), Json::from);
        to.insert("partition".to_owned(), number);
    }
    if let Some(group) = from.take("consumerGroup") {
        to.insert("consumerGroup".to_owned(), group);
        // With a group Argo reads every partition, whatever is written.
        to.remove("partition");
    }
    let mut sasl = from.object("sasl", notes);
    let mut login = Map::new();
    sasl.copy(&["mechanism"], &mut login);
    sasl.secret("userSecret", "username", &mut login);
    sasl.secret("passwordSecret", "password", &mut login);
    sasl.finish(notes);
    if !login.is_empty() {
        login.entry("mechanism").or_insert_with(|| "PLAIN".into());
        to.insert("sasl".to_owned(), login.into());
    }
    tls(from, notes, to);
}

/// `tls`, as most kinds have it.
fn tls(from: &mut Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    let Some(written) = from.take("tls") else { return };
    let mut written = Fields::new(written, from.at("tls"), notes);
    let mut block = Map::new();
    written.secret("caCertSecret", "ca", &mut block);
    written.secret("clientCertSecret", "cert", &mut block);
    written.secret("clientKeySecret", "key", &mut block);
    written.copy(&["insecureSkipVerify"], &mut block);
    written.finish(notes);
    to.insert("tls".to_owned(), block.into());
}

fn mqtt(from: &mut Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    wrapped(from, "topic, messageId, body", notes);
    from.copy(&["url", "topic"], to);
    from.rename("clientId", "consumerID", to);
    let mut auth = from.object("auth", notes);
    auth.secret("username", "username", to);
    auth.secret("password", "password", to);
    auth.finish(notes);
    let mut tls = from.object("tls", notes);
    tls.secret("caCertSecret", "caCert", to);
    tls.secret("clientCertSecret", "clientCert", to);
    tls.secret("clientKeySecret", "clientKey", to);
    tls.finish(notes);
}

fn nats(from: &mut Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    wrapped(from, "subject, body, headers", notes);
    from.copy(&["url", "subject"], to);
    from.rename("queue", "queueGroup", to);
    let mut auth = from.object("auth", notes);
    let mut basic = auth.object("basic", notes);
    basic.secret("username", "user", to);
    basic.secret("password", "password", to);
    basic.finish(notes);
    auth.secret("token", "token", to);
    auth.secret("nkey", "nkey", to);
    auth.secret("credential", "credentials", to);
    auth.finish(notes);
    tls(from, notes, to);
}

fn redis_stream(from: &mut Fields, notes: &mut Notes, to: &mut Map<String, Json>) {
    notes.changed(
        &from.path,
        "Argo's payload is {stream, message_id, values}; here it is what the redis source makes of an entry",
    );
    from.rename("hostAddress", "redisHost", to);
    from.secret("password", "redisPassword", to);
    from.rename("db", "redisDB", to);
    from.copy(&["consumerGroup"], to);
    for (index, (path, stream)) in from.list("streams", notes).into_iter().enumerate() {
        if index == 0 {
            to.insert("stream".to_owned(), stream);
        } else {
            notes.left_out(&path, "an event reads one stream: write an event for each");
        }
    }
    tls(from, notes, to);
}
