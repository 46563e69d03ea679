//! What Triggers make of an event, in lines for people: the same for an event of a file and for one of the journal.

use std::io::{self, Write};

use crate::event::{Data, Event};
use crate::router::filter::{Values, Verdict};
use crate::router::route::{Input, Subscriber, Trigger};

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
    let mut accepted = vec![false; trigger.inputs.len()];
    for (input, accepted) in trigger.inputs.iter().zip(&mut accepted) {
        *accepted = explain_input(input, heard(&input.topic), event, values, out)?;
    }
    for subscriber in &trigger.subscribers {
        explain_subscriber(subscriber, &trigger.inputs, &accepted, out)?;
    }
    Ok(())
}

/// Whether the input accepts the event.
fn explain_input(input: &Input, listens: bool, event: &Event, values: Values, out: &mut dyn Write) -> io::Result<bool> {
    if !listens {
        writeln!(out, "  input {}: listens elsewhere (topic {})", input.name, input.topic)?;
        return Ok(false);
    }
    let changed = match input.transform.as_ref().map(|transform| transform.apply(event)) {
        None => None,
        Some(Ok(changed)) => Some(changed),
        Some(Err(cause)) => {
            let cause = cause.as_str();
            writeln!(out, "  input {}: filters it out: its data could not be changed ({cause})", input.name)?;
            return Ok(false);
        }
    };
    let event = changed.as_ref().unwrap_or(event);
    let verdict = match input.filter.evaluate(event) {
        Verdict::Yes => "accepts it",
        Verdict::No => "filters it out",
        Verdict::Error(_) => "cannot tell, which counts as no",
    };
    writeln!(out, "  input {}: {verdict}", input.name)?;
    if let Some(Data::Text(text)) = changed.as_ref().and_then(Event::data) {
        match values {
            Values::Shown => writeln!(out, "    the data was changed to {text}")?,
            Values::Redacted => writeln!(out, "    the data was changed to {} bytes of text", text.len())?,
        }
    }
    for line in input.filter.explain(event, values).lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(input.filter.evaluate(event) == Verdict::Yes)
}

fn explain_subscriber(
    subscriber: &Subscriber,
    inputs: &[Input],
    accepted: &[bool],
    out: &mut dyn Write,
) -> io::Result<()> {
    let single = subscriber.join.as_ref().filter(|join| join.is_of_single_events());
    let fires: Vec<usize> = match single {
        Some(join) => (0..inputs.len()).filter(|input| join.rules.wants(*input)).collect(),
        None => subscriber.fires.clone(),
    };
    let by: Vec<&str> =
        fires.iter().filter(|input| accepted[**input]).map(|input| inputs[*input].name.as_str()).collect();
    if let Some(join) = subscriber.join.as_ref().filter(|_| single.is_none()) {
        let by = (0..inputs.len()).filter(|input| accepted[*input] && join.rules.wants(*input));
        let by: Vec<&str> = by.map(|input| inputs[input].name.as_str()).collect();
        let what = if by.is_empty() { "is not concerned".to_owned() } else { format!("notes it as {}", by.join(", ")) };
        writeln!(out, "  subscriber {}: {what} (joins events: {})", subscriber.name, join.text)
    } else if by.is_empty() {
        let needs: Vec<&str> = fires.iter().map(|input| inputs[*input].name.as_str()).collect();
        writeln!(out, "  subscriber {}: does not get it (needs {})", subscriber.name, needs.join(" or "))
    } else {
        let targets: Vec<String> = subscriber.targets.iter().map(ToString::to_string).collect();
        writeln!(out, "  subscriber {}: gets it at {} (by {})", subscriber.name, targets.join(", "), by.join(", "))
    }
}
