//! `penstock explain`: what each Trigger would do with one event, and why.

pub mod render;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use super::documents::{self, Documents};
use super::report::Report;
use super::routes::Routes;
use super::{Outcome, check, terminal};
use crate::api::secret::Unresolved;
use crate::event::Event;
use crate::event::codec::json;
use crate::router::filter::Values;

/// Shows for one event what each Trigger would do with it: every filter with the value it saw, and
/// which subscribers it would go to. Nothing is sent
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "The event is in the CloudEvents JSON format. Without --from it is judged by every input, as if it came
from wherever that input listens.

Examples:
  penstock explain -f flow.yaml --event order.json
  echo '{\"specversion\": \"1.0\", ...}' | penstock explain -f flow.yaml --event - --from hooks/orders"
)]
pub struct Options {
    /// YAML with Triggers: a file or a folder. Several are read together
    #[arg(long = "file", short = 'f', required = true, value_name = "PATH")]
    files: Vec<PathBuf>,

    /// The event: a file, or - for standard input
    #[arg(long, short, value_name = "FILE")]
    event: PathBuf,

    /// Judge only inputs that listen to this event of an `EventSource`
    #[arg(long, value_name = "SOURCE/EVENT")]
    from: Option<Origin>,
}

/// An event of an `EventSource`, in the Trigger's own namespace or another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub namespace: Option<String>,
    pub source: String,
    pub event: String,
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts: Vec<&str> = text.split('/').collect();
        let namespace = (parts.len() == 3).then(|| parts.remove(0).to_owned());
        match parts[..] {
            [source, event] if !source.is_empty() && !event.is_empty() => {
                Ok(Self { namespace, source: source.to_owned(), event: event.to_owned() })
            }
            _ => Err("write it like hooks/orders, or namespace/hooks/orders".to_owned()),
        }
    }
}

/// Reads everything, and explains to `out`.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(options: &Options, stdin: &mut dyn Read, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let (documents, mut report) = documents::load(&options.files, &mut std::io::empty());
    check::judge(&documents, check::Access::Own, &Unresolved, &mut report);
    report.refuse_unsupported();
    if report.has_errors() {
        refuse(&report)?;
        return Ok(Outcome::Refused);
    }
    let event = match read(&options.event, stdin) {
        Ok(event) => event,
        Err(reason) => {
            writeln!(std::io::stderr(), "{}: {reason}", options.event.display())?;
            return Ok(Outcome::Refused);
        }
    };
    explain(&documents, &event, options.from.as_ref(), out)?;
    Ok(Outcome::Done)
}

fn refuse(report: &Report) -> anyhow::Result<()> {
    let mut err = std::io::stderr().lock();
    report.write_lines(&mut err, terminal::is_terminal())?;
    writeln!(err, "{}", report.summary())?;
    Ok(())
}

/// The event, or why there is none.
fn read(path: &Path, stdin: &mut dyn Read) -> Result<Event, String> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        stdin.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    } else {
        bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    }
    json::parse(&bytes).map_err(|error| error.to_string())
}

fn explain(documents: &Documents, event: &Event, from: Option<&Origin>, out: &mut dyn Write) -> anyhow::Result<()> {
    render::head(event, out)?;
    for bus in &Routes::of(documents).buses {
        for trigger in &bus.triggers {
            let heard = from.map(|Origin { namespace, source, event }| {
                let namespace = namespace.as_deref().unwrap_or(&trigger.namespace);
                bus.defaults.topics.topic(namespace, source, event)
            });
            let heard = |topic: &str| heard.as_ref().is_none_or(|heard| heard == topic);
            render::trigger(trigger, &heard, event, Values::Shown, out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(event: &str, from: Option<&str>) -> String {
        explained_by("examples/quickstart", event, from)
    }

    fn explained_by(example: &str, event: &str, from: Option<&str>) -> String {
        let (documents, report) = documents::load(&[example.into()], &mut std::io::empty());
        assert!(!report.has_errors());
        let event = json::parse(event.as_bytes()).unwrap();
        let from = from.map(|text| text.parse::<Origin>().unwrap());
        let mut out = Vec::new();
        explain(&documents, &event, from.as_ref(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const ORDER: &str = r#"{"specversion": "1.0", "id": "7", "source": "/shop", "type": "com.shop.order.paid", "data": {"total": 42.50}}"#;

    #[test]
    fn every_filter_shows_the_value_it_saw_and_every_subscriber_its_fate() {
        assert_eq!(
            explained(ORDER, Some("hooks/orders")),
            r#"event 7 of type com.shop.order.paid from /shop

Trigger default/deploy
  input push: listens elsewhere (topic default-hooks-github)
  subscriber pipeline: does not get it (needs push)

Trigger default/shop
  input paid: accepts it
    yes: all of
      yes: attribute type is "com.shop.order.paid", wanted exactly "com.shop.order.paid"
  input large: filters it out
    no: data total is 42.50, wanted number > 100
  subscriber ship: gets it at http://127.0.0.1:9000/ship (by paid)
  subscriber review: does not get it (needs large)
"#
        );
    }

    #[test]
    fn without_an_origin_every_input_judges() {
        assert!(
            explained(ORDER, None)
                .contains("input push: cannot tell, which counts as no\n    error missing_value: data ref is missing")
        );
    }

    #[test]
    fn programs_show_what_they_saw_and_what_they_made_of_it() {
        let order = |items: &str| {
            let event = format!(
                r#"{{"specversion": "1.0", "id": "7", "source": "/shop", "type": "com.shop.order", "data": {{"items": {items}}}}}"#
            );
            explained_by("examples/programs", &event, None)
        };
        let text = order(r#"[{"count": 1, "price": 60}, {"count": 1, "price": 50}]"#);
        for line in [
            "input bulky: filters it out\n    no: cel event.type.startsWith('com.shop.') && ",
            "where event.type is \"com.shop.order\", event.data.items is [{\"count\":1,",
            "input large: accepts it\n    yes: script local total = 0 for _, item in ipairs(event.items) do",
            "input priced: accepts it\n    the data was changed to {\"items\":[{\"count\":1,",
            "    yes: data total is 110, wanted number > 100",
            "subscriber 2: gets it at http://127.0.0.1:9000/priced (by priced)",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let text = order(r#"[{"count": 11}]"#);
        for line in [
            "input large: cannot tell, which counts as no\n    error script: script local total",
            "it failed: script:3: attempt to perform arithmetic on field 'price' (a nil value)",
            "input priced: filters it out: its data could not be changed (script)",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn a_join_says_by_which_key() {
        let order = |data: &str| {
            let event =
                format!(r#"{{"specversion": "1.0", "id": "7", "source": "/shop", "type": "t", "data": {data}}}"#);
            explained_by("examples/join", &event, Some("shop/orders"))
        };
        let text = order(r#"{"order": 7}"#);
        for line in [
            "subscriber ship: notes it as order with the key \"7\" (joins events: order && payment by order=data.order,",
            "subscriber book: notes it as order (gathers events: order || payment)",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(order("{}").contains("subscriber ship: notes it as order, but without a key to be joined by ("));
    }

    #[test]
    fn an_origin_is_a_source_and_an_event() {
        assert_eq!("a/b/c".parse::<Origin>().unwrap().namespace.as_deref(), Some("a"));
        for bad in ["", "a", "a/", "/b", "a/b/c/d"] {
            assert!(bad.parse::<Origin>().is_err(), "{bad:?}");
        }
    }
}
