//! What the routers tell of events, as one process would.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::probe;
use crate::cli::ledger::{self, LISTED};
use crate::listen::{self, Answer};

/// Filters may be programs, which take their time.
const LIMIT: Duration = Duration::from_secs(30);

/// Asks the routers on these ports, and puts together what they tell: an event may have come on several buses.
pub async fn tell(routers: &[u16], path: &str, as_json: bool) -> Answer {
    let accept = if as_json { "application/json" } else { "text/plain" };
    let (mut told, mut refused) = (Vec::new(), None);
    for port in routers {
        match probe::ask(*port, path, accept, LIMIT).await {
            Ok((200, text)) => told.push(text),
            Ok((status, why)) => refused = refused.or(Some((status, why))),
            // One that is going away right now: another one may know.
            Err(_) => {}
        }
    }
    if told.is_empty() {
        let away = "the router is starting or stopping: what it kept is lost when it was restarted";
        let (status, why) = refused.unwrap_or_else(|| (503, away.to_owned()));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        return listen::text(status, why.trim_end());
    }
    let is_list = ledger::asked_id(path).is_none();
    let whole = match (told.len(), as_json) {
        // The usual case: what it says is left as it is.
        (1, _) => told.remove(0),
        (_, true) => json(&told, is_list),
        (_, false) if is_list => lines(&told),
        (_, false) => told.join("\n"),
    };
    ledger::typed(whole, as_json)
}

/// Lists of events for people as one, the latest first. Each begins with the same line; the others begin with a time.
fn lines(lists: &[String]) -> String {
    let head = lists.first().and_then(|list| list.lines().next()).unwrap_or_default();
    let mut events: Vec<&str> = lists.iter().flat_map(|list| list.lines().skip(1)).collect();
    events.sort_unstable_by(|one, other| other.cmp(one));
    events.truncate(LISTED);
    let lines: Vec<&str> = std::iter::once(head).chain(events).flat_map(|line| [line, "\n"]).collect();
    lines.concat()
}

/// Lists of events as one, the latest first, or all that is told of one event.
fn json(told: &[String], is_list: bool) -> String {
    // What cannot be read is no answer of a router.
    let mut all = told.iter().filter_map(|text| serde_json::from_str::<Json>(text).ok());
    let mut whole = all.next().unwrap_or_default();
    for other in all {
        merge(&mut whole, other);
    }
    if is_list && let Some(events) = whole.as_array_mut() {
        events.sort_by_key(|event| std::cmp::Reverse(at(event)));
        events.truncate(LISTED);
    }
    if let Some(steps) = whole.get_mut("steps").and_then(Json::as_array_mut) {
        steps.sort_by_key(at);
    }
    whole.to_string()
}

/// Lists are appended, and so is the explanation; of anything else the first that is known counts.
fn merge(whole: &mut Json, other: Json) {
    match (whole, other) {
        (Json::Array(all), Json::Array(more)) => all.extend(more),
        (Json::Object(members), Json::Object(others)) => {
            for (name, value) in others {
                match (members.get_mut(&name), value) {
                    (Some(Json::String(text)), Json::String(more)) if name == "explanation" => {
                        text.push('\n');
                        text.push_str(&more);
                    }
                    (Some(known @ Json::Array(_)), more @ Json::Array(_)) => merge(known, more),
                    (Some(known @ Json::Null), more) => *known = more,
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// When it was.
fn at(told: &Json) -> Option<Timestamp> {
    told.get("at")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_several_routers_are_one_with_the_latest_first() {
        let lists = ["head\n1.000  a is\n", "head\n3.000  c is\n2.000  b is\n"].map(str::to_owned);
        assert_eq!(lines(&lists), "head\n3.000  c is\n2.000  b is\n1.000  a is\n");
        let event = |at: &str| format!("[{{\"at\": \"2026-01-01T00:00:{at}Z\"}}]");
        let lists = [event("01"), event("03"), event("01.5")];
        let whole: Json = serde_json::from_str(&json(&lists, true)).unwrap();
        let at: Vec<&str> = whole.as_array().unwrap().iter().map(|event| event["at"].as_str().unwrap()).collect();
        assert_eq!(at, ["03", "01.5", "01"].map(|at| format!("2026-01-01T00:00:{at}Z")));
    }

    #[test]
    fn what_several_routers_know_of_an_event_is_told_together() {
        let told = |topic: &str, at: u8, attributes: &str| {
            format!(
                "{{\"id\": \"1\", \"topics\": [\"{topic}\"], \"attributes\": {attributes}, \"explanation\": \"of {topic}\",
                  \"steps\": [{{\"at\": \"2026-01-01T00:00:0{at}Z\"}}], \"held\": []}}"
            )
        };
        let told = [told("one", 2, "null"), told("two", 1, "{\"type\": \"t\"}")];
        let whole: Json = serde_json::from_str(&json(&told, false)).unwrap();
        assert_eq!(whole["topics"], serde_json::json!(["one", "two"]));
        assert_eq!((&whole["id"], &whole["attributes"]["type"]), (&"1".into(), &"t".into()));
        assert_eq!(whole["explanation"], "of one\nof two");
        assert_eq!(whole["steps"][0]["at"], "2026-01-01T00:00:01Z");
    }
}
