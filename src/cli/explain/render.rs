//! What Triggers make of an event, in lines for people: the same for an event of a file and for one of the journal.

use std::io::{self, Write};

use crate::event::{Data, Event};
use crate::router::condition::Form;
use crate::router::filter::{Values, Verdict};
use crate::router::route::{Input, Join, Subscriber, Trigger};

/// The line about the event itself.
///
/// # Errors
/// When `out` cannot be written to.
pub fn head(event: &Event, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "event {} of type {} from {}", event.id(), event.ty(), event.source())
}

/// What the Trigger makes of an event that comes on the topics that `heard` knows.
///
/// # Errors
/// When `out` cannot be written to.
pub fn trigger(
    trigger: &Trigger,
    heard: &dyn Fn(&str) -> bool,
    event: &Event,
    values: Values,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "\n{} {}/{}", trigger.kind(), trigger.namespace, trigger.name)?;
    let mut accepted = Vec::with_capacity(trigger.inputs.len());
    for input in &trigger.inputs {
        accepted.push(explain_input(input, heard(&input.topic), event, values, out)?);
    }
    for subscriber in &trigger.subscribers {
        explain_subscriber(subscriber, &trigger.inputs, &accepted, out)?;
    }
    Ok(())
}

/// The event as the input sees it, if it accepts it.
fn explain_input(
    input: &Input,
    listens: bool,
    event: &Event,
    values: Values,
    out: &mut dyn Write,
) -> io::Result<Option<Event>> {
    if !listens {
        writeln!(out, "  input {}: listens elsewhere (topic {})", input.name, input.topic)?;
        return Ok(None);
    }
    let changed = match input.transform.as_ref().map(|transform| transform.apply(event)) {
        None => None,
        Some(Ok(changed)) => Some(changed),
        Some(Err(cause)) => {
            let cause = cause.as_str();
            writeln!(out, "  input {}: filters it out: its data could not be changed ({cause})", input.name)?;
            return Ok(None);
        }
    };
    let event = changed.as_ref().unwrap_or(event);
    let verdict = input.filter.evaluate(event);
    let says = match verdict {
        Verdict::Yes => "accepts it",
        Verdict::No => "filters it out",
        Verdict::Error(_) => "cannot tell, which counts as no",
    };
    writeln!(out, "  input {}: {says}", input.name)?;
    if let Some(Data::Text(text)) = changed.as_ref().and_then(Event::data) {
        match values {
            Values::Shown => writeln!(out, "    the data was changed to {text}")?,
            Values::Redacted => writeln!(out, "    the data was changed to {} bytes of text", text.len())?,
        }
    }
    for line in input.filter.explain(event, values).lines() {
        writeln!(out, "    {line}")?;
    }
    Ok((verdict == Verdict::Yes).then(|| event.clone()))
}

fn explain_subscriber(
    subscriber: &Subscriber,
    inputs: &[Input],
    accepted: &[Option<Event>],
    out: &mut dyn Write,
) -> io::Result<()> {
    let single = subscriber.join.as_ref().filter(|join| join.is_of_single_events());
    let fires: Vec<usize> = match single {
        Some(join) => (0..inputs.len()).filter(|input| join.rules.wants(*input)).collect(),
        None => subscriber.fires.clone(),
    };
    let by: Vec<&str> =
        fires.iter().filter(|input| accepted[**input].is_some()).map(|input| inputs[*input].name.as_str()).collect();
    if let Some(join) = subscriber.join.as_ref().filter(|_| single.is_none()) {
        let by = (0..inputs.len()).filter(|input| join.rules.wants(*input));
        let by = by.filter_map(|input| accepted[input].as_ref().map(|event| noted(join, input, event)));
        let by: Vec<String> = by.collect();
        let what = if by.is_empty() { "is not concerned".to_owned() } else { format!("notes it as {}", by.join(", ")) };
        let does = if matches!(join.rules.condition.form(), Form::Stateful { .. }) { "joins" } else { "gathers" };
        writeln!(out, "  subscriber {}: {what} ({does} events: {})", subscriber.name, join.text)
    } else if by.is_empty() {
        let needs: Vec<&str> = fires.iter().map(|input| inputs[*input].name.as_str()).collect();
        writeln!(out, "  subscriber {}: does not get it (needs {})", subscriber.name, needs.join(" or "))
    } else {
        let targets: Vec<String> = subscriber.targets.iter().map(ToString::to_string).collect();
        writeln!(out, "  subscriber {}: gets it at {} (by {})", subscriber.name, targets.join(", "), by.join(", "))
    }
}

/// The name of the input, and by which key its event is joined.
fn noted(join: &Join, input: usize, event: &Event) -> String {
    let name = &join.names[input];
    match join.correlate.as_ref().and_then(|by| by.get(&input)).map(|key| key.of(event)) {
        None => name.clone(),
        Some(Some(key)) => format!("{name} with the key {key:?}"),
        Some(None) => format!("{name}, but without a key to be joined by"),
    }
}
