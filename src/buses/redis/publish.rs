//! Publishing: one step of the server for many events, de-duplicated and in order.

use ring::digest::{Context, SHA256};

use super::script::{Keys, PUBLISH};
use super::server::Server;
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Deduplicate, Outgoing, Position, Published, Topic};

const OPERATION: &str = "publish";
/// The largest event taken: four times the broker defaults of 1 MiB, so that nothing that fits a
/// broker is refused here.
pub(super) const MAX_EVENT_BYTES: usize = 4 << 20;
/// Events of one step, at most: nobody else is served meanwhile.
const STEP: usize = 256;
/// The same in bytes; a larger event is a step of its own.
const STEP_BYTES: usize = 1 << 20;
/// Bytes of a digest that stand for what they were made of: collisions are out of reach.
const DIGEST: usize = 16;

/// One event as it is sent.
struct Sending<'a> {
    /// Its place in the batch.
    index: usize,
    outgoing: &'a Outgoing,
}

/// Publishes a batch; the answers are in its order.
pub(super) async fn publish(
    server: &Server,
    keys: &Keys,
    topic: &Topic,
    batch: &[Outgoing],
) -> Vec<Result<Published, Fault>> {
    let mut answers: Vec<Option<Result<Published, Fault>>> = vec![None; batch.len()];
    let mut step: Vec<Sending<'_>> = Vec::new();
    let mut bytes = 0;
    for (index, outgoing) in batch.iter().enumerate() {
        let size = outgoing.event.record().len();
        if size > MAX_EVENT_BYTES {
            let message = format!("the event has {size} bytes, at most {MAX_EVENT_BYTES} are taken");
            let fault = Fault::new(FaultKind::TooLarge, OPERATION, message).with_context("topic", topic.as_str());
            answers[index] = Some(Err(fault));
            continue;
        }
        if step.len() == STEP || (!step.is_empty() && bytes + size > STEP_BYTES) {
            take(server, keys, std::mem::take(&mut step), &mut answers).await;
            bytes = 0;
        }
        step.push(Sending { index, outgoing });
        bytes += size;
    }
    if !step.is_empty() {
        take(server, keys, step, &mut answers).await;
    }
    let unanswered = || Err(Fault::new(FaultKind::Internal, OPERATION, "no answer was given"));
    answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
}

async fn take(server: &Server, keys: &Keys, step: Vec<Sending<'_>>, answers: &mut [Option<Result<Published, Fault>>]) {
    let window = server.config.keep.dedup_window;
    let mut names = vec![keys.stream.clone(), keys.delayed.clone(), keys.number.clone()];
    let mut arguments: Vec<Vec<u8>> =
        [window, server.config.keep.age].map(|span| span.as_millis().to_string().into_bytes()).into();
    for Sending { outgoing, .. } in &step {
        let digest = if window.is_zero() { None } else { digest(&outgoing.event, outgoing.deduplicate) };
        let key = digest.map_or(0, |digest| {
            names.push(keys.seen(&digest));
            names.len()
        });
        // A delay that is shorter than the server's clock tells is still one.
        let delay = outgoing.delay.filter(|delay| !delay.is_zero()).map_or(0, |delay| delay.as_millis().max(1));
        arguments.push(key.to_string().into_bytes());
        arguments.push(delay.to_string().into_bytes());
        arguments.push(outgoing.event.record().to_vec());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
    let taken: Result<Vec<String>, Fault> = server.run(OPERATION, &PUBLISH, &names, &arguments).await;
    match taken {
        Ok(taken) => {
            if taken.iter().any(|answer| answer == "delayed") {
                server.stir();
            }
            for (Sending { index, .. }, answer) in step.iter().zip(&taken) {
                answers[*index] = Some(published(answer));
            }
        }
        Err(fault) => {
            for Sending { index, .. } in &step {
                answers[*index] = Some(Err(fault.clone()));
            }
        }
    }
}

fn published(answer: &str) -> Result<Published, Fault> {
    match answer {
        "duplicate" => Ok(Published::Duplicate),
        "delayed" => Ok(Published::Delayed),
        id => Position::parse(id)
            .map(Published::At)
            .ok_or_else(|| Fault::new(FaultKind::Malformed, OPERATION, "the server's answer cannot be read")),
    }
}

/// What an event is recognised by, within its topic; of bounded length, whatever its id is.
fn digest(event: &Event, deduplicate: Deduplicate) -> Option<String> {
    let attempt = match deduplicate {
        Deduplicate::Never => return None,
        Deduplicate::Event => String::new(),
        Deduplicate::Attempt(attempt) => attempt.to_string(),
    };
    let mut context = Context::new(&SHA256);
    for part in [event.source(), event.id(), &attempt] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    Some(data_encoding::HEXLOWER.encode(&context.finish().as_ref()[..DIGEST]))
}
