//! `/explain` on the admin port: the journal of the routers of this process, explained by their Triggers.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode};
use serde_json::json;

use super::explain::render;
use super::run::CONSUMER_GROUP;
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Group, InvalidName, Store};
use crate::listen::{self, Answer};
use crate::router::filter::Values;
use crate::router::join;
use crate::router::journal::{Journal, Story};
use crate::router::route::Trigger;
use crate::task::{self, Clock};

/// Where it is served; below it by the id of an event.
const PATH: &str = "/explain";

/// As many events are listed at most.
pub const LISTED: usize = 100;

/// Of as many subscribers that join events it is told what they hold.
const JOINING: usize = 32;

/// Whether the ledger is served there.
pub fn is_path(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The id that a path of the ledger asks for, as it is written there; nothing where the list is.
pub fn asked_id(path: &str) -> Option<&str> {
    path.strip_prefix(PATH)?.strip_prefix('/').filter(|id| !id.is_empty())
}

/// Whether the answer is to be JSON.
pub fn wants_json<T>(request: &Request<T>) -> bool {
    let accepted = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("application/json"))
}

/// A Trigger, and where its subscribers that join events keep what they hold.
pub struct Known {
    pub trigger: Trigger,
    pub store: Option<Arc<dyn Store>>,
}

/// The journal and what it is read with.
pub struct Ledger {
    journal: Arc<Journal>,
    known: Mutex<Arc<Vec<Known>>>,
    /// Whether values of data are shown.
    values: Values,
}

impl Ledger {
    /// A ledger that may take `capacity` bytes.
    pub fn new(capacity: usize, values: Values, clock: Clock) -> Self {
        Self { journal: Arc::new(Journal::new(capacity, clock)), known: Mutex::default(), values }
    }

    /// Where decisions are told.
    pub fn journal(&self) -> Arc<Journal> {
        self.journal.clone()
    }

    /// Explains by these Triggers from now on.
    pub fn explain_by(&self, known: Vec<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    /// The Triggers that read one of the topics on which the event came.
    fn readers(&self, story: &Story) -> (Arc<Vec<Known>>, Vec<usize>) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let heard = |topic: &String| story.topics.contains(topic);
        let reads = |known: &Known| known.trigger.inputs.iter().any(|input| heard(&input.topic));
        let readers = known.iter().enumerate().filter(|(_, known)| reads(known)).map(|(place, _)| place).collect();
        (known, readers)
    }

    /// The subscribers that may join the event with others, by id, and where they keep what they hold.
    fn joining(&self, story: &Story) -> Vec<(String, Arc<dyn Store>)> {
        let (known, readers) = self.readers(story);
        let mut joining = Vec::new();
        for known in readers.into_iter().map(|place| &known[place]) {
            let Some(keeper) = &known.store else { continue };
            let subscribers = known.trigger.subscribers.iter().filter(|subscriber| subscriber.join.is_some());
            joining.extend(subscribers.map(|subscriber| (subscriber.id.clone(), keeper.clone())));
        }
        joining.truncate(JOINING);
        joining
    }

    /// A line for each event that these subscribers hold, and one for each that holds nothing.
    async fn held(&self, story: &Story) -> Result<Vec<String>, Fault> {
        let unnamed = |error: InvalidName| Fault::new(FaultKind::Internal, "name a group", error.to_string());
        let group = Group::new(CONSUMER_GROUP).map_err(unnamed)?;
        let mut lines = Vec::new();
        for (id, keeper) in self.joining(story) {
            let held = join::held(&*keeper, &group, &id).await?;
            if held.is_empty() {
                lines.push(format!("{id} holds nothing"));
            }
            for join::Holding { input, at, event, until } in held {
                let until = until.map(|until| format!(", in a match that waits until {until:.3}")).unwrap_or_default();
                lines.push(format!("{id} holds {} as {input} since {at:.3}{until}", event.id()));
            }
        }
        Ok(lines)
    }

    /// Answers a request for `path`, which begins with [`PATH`]; as JSON when asked for.
    pub async fn answer(self: Arc<Self>, path: &str, as_json: bool) -> Answer {
        let Some(id) = asked_id(path) else { return self.list(as_json) };
        let Some(id) = decoded(id) else {
            return listen::text(StatusCode::BAD_REQUEST, "the id after /explain/ is not percent-encoded UTF-8");
        };
        let Some(story) = self.journal.story(&id) else {
            let text = "nothing is kept of an event with this id: it never came, or later ones took its place";
            return listen::text(StatusCode::NOT_FOUND, text);
        };
        let told = match self.held(&story).await {
            // Filters may be programs, which take their time.
            Ok(held) => task::blocking("explain an event", move || self.explain(&id, &story, &held, as_json)).await,
            Err(fault) => Err(fault),
        };
        match told {
            Ok(text) => typed(text, as_json),
            Err(fault) => listen::text(StatusCode::INTERNAL_SERVER_ERROR, &fault.chain()),
        }
    }

    /// The latest events, each with its last decision.
    fn list(&self, as_json: bool) -> Answer {
        let latest = self.journal.latest(LISTED);
        if as_json {
            let all: Vec<_> = latest
                .iter()
                .map(|found| json!({"id": found.id, "at": found.at.to_string(), "last": found.step}))
                .collect();
            return typed(json!(all).to_string(), true);
        }
        let mut text = format!("the latest events; {PATH}/ID tells everything that is kept of one\n");
        for found in latest {
            // Writing to a String cannot fail.
            writeln!(text, "{:.3}  {} {}", found.at, found.id, found.step).unwrap_or_default();
        }
        typed(text, false)
    }

    fn explain(&self, id: &str, story: &Story, held: &[String], as_json: bool) -> Result<String, Fault> {
        let unwritable = |error: io::Error| Fault::new(FaultKind::Internal, "explain an event", error.to_string());
        let text = self.render(id, story, if as_json { None } else { Some(held) }).map_err(unwritable)?;
        if !as_json {
            return Ok(text);
        }
        let steps: Vec<_> = story
            .steps
            .iter()
            .map(|(at, step)| {
                let mut step = json!(step);
                step["at"] = at.to_string().into();
                step
            })
            .collect();
        let attributes = story.event.as_ref().map(attributes);
        let told = json!({
            "id": id, "topics": story.topics, "attributes": attributes, "explanation": text, "steps": steps, "held": held,
        });
        Ok(told.to_string())
    }

    /// The event and its Triggers; with what was decided and what is held, if that is given.
    fn render(&self, id: &str, story: &Story, held: Option<&[String]>) -> io::Result<String> {
        let mut out = Vec::new();
        match &story.event {
            None => writeln!(out, "event {id}, which is not kept itself: what filters saw is not known any more")?,
            Some(event) => {
                render::head(event, &mut out)?;
                let (known, readers) = self.readers(story);
                let heard = |topic: &str| story.topics.iter().any(|known| known == topic);
                for place in readers {
                    render::trigger(&known[place].trigger, &heard, event, self.values, &mut out)?;
                }
            }
        }
        if let Some(held) = held {
            writeln!(out, "\nwhat was decided:")?;
            for (at, step) in &story.steps {
                writeln!(out, "  {at:.3}  {step}")?;
            }
            if !held.is_empty() {
                writeln!(out, "\nwhat is held now:")?;
            }
            for line in held {
                writeln!(out, "  {line}")?;
            }
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

/// Attributes are shown in any case.
fn attributes(event: &Event) -> serde_json::Map<String, serde_json::Value> {
    let required = [("id", event.id()), ("source", event.source()), ("type", event.ty())];
    let required = required.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let others = event.attributes().map(|(name, value)| (name.to_owned(), value.text().into_owned()));
    required.chain(others).map(|(name, value)| (name, value.into())).collect()
}

/// An answer of this content type.
pub fn typed(text: String, as_json: bool) -> Answer {
    let kind = if as_json { "application/json" } else { "text/plain; charset=utf-8" };
    let mut answer = Answer::new(http_body_util::Full::new(text.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// The text that was percent-encoded.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_decoded_from_paths() {
        assert_eq!(decoded("a%2Fb%20c").unwrap(), "a/b c");
        assert_eq!(decoded("orders/1-0").unwrap(), "orders/1-0");
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
