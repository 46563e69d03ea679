//! Plays a case: the router itself, in virtual time, between a bus in memory and sinks that answer as they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bus::{Bus, Store};
use super::cases::{Answer, Case};
use super::sinks::{Left, Noted, Recorder, Scripted};
use crate::cli::routes::Routes;
use crate::cli::run::{CONSUMER_GROUP, http_config};
use crate::event::Event;
use crate::fault::{Fault, FaultKind};
use crate::flow::{self, Bus as _, Deduplicate, Group as ConsumerGroup, Outgoing, Topic};
use crate::router::join::{self, Holding};
use crate::router::pipeline::{Plan, Router, Settings};
use crate::router::route::{DeadLetter, Policy, Target, Trigger};
use crate::sinks;
use crate::task::{self, Clock, Group, Shutdown};
use crate::telemetry::Metrics;

/// Every case is played with the same dice.
const DICE: u64 = 7;

/// What happened.
#[derive(Debug)]
pub(super) struct Played {
    pub delivered: Vec<Left>,
    pub dead: Vec<Left>,
    /// With the subscriber's id.
    pub held: Vec<(String, Holding)>,
    /// A line for each decision.
    pub lines: Vec<String>,
}

/// What is moved into virtual time.
struct Stage {
    buses: Vec<(Vec<Trigger>, Duration)>,
    events: Vec<(Duration, usize, Topic, Event)>,
    answers: BTreeMap<String, Vec<Answer>>,
    until: Duration,
}

/// Plays the case.
///
/// # Errors
/// When the router does not run: a mistake of ours, or of a Trigger that was not judged.
pub(super) fn play(routes: &Routes, case: &Case) -> Result<Played, Fault> {
    let topic = |name: &str| {
        Topic::new(name).map_err(|error| Fault::new(FaultKind::Rejected, "name a topic", error.to_string()))
    };
    let mut events = Vec::with_capacity(case.events.len());
    for given in &case.events {
        events.push((given.at, given.bus, topic(&given.topic)?, given.event.clone()));
    }
    let stage = Stage {
        buses: routes.buses.iter().map(|bus| (bus.triggers.clone(), bus.dedup_window)).collect(),
        events,
        answers: case.answers.clone(),
        until: case.until,
    };
    // Jitter comes from the generator of this thread, on which everything runs.
    fastrand::seed(DICE);
    task::simulate(case.start, |clock| act(stage, clock))?
}

async fn act(stage: Stage, clock: Clock) -> Result<Played, Fault> {
    let recorder = Arc::new(Recorder::new(clock.clone()));
    let shutdown = Shutdown::new();
    let mut routers = Group::new(&shutdown);
    let (mut buses, mut joins) = (Vec::new(), Vec::new());
    for (triggers, dedup_window) in stage.buses {
        let bus = Arc::new(Bus::new(clock.clone(), dedup_window));
        let store = Arc::new(Store::default());
        let subscribers = triggers.iter().flat_map(|trigger| &trigger.subscribers);
        let joining = subscribers.filter(|subscriber| subscriber.join.is_some());
        joins.push((store.clone(), joining.map(|subscriber| subscriber.id.clone()).collect::<Vec<_>>()));
        let router = wire(triggers, &bus, &stage.answers, &recorder, &clock, &shutdown)?;
        routers.spawn(router.with_store(store).join().await?.run());
        buses.push(bus);
    }
    let elapsed = task::stopwatch();
    for (at, bus, topic, event) in stage.events {
        task::sleep(at.saturating_sub(elapsed())).await;
        let outgoing = Outgoing { event, delay: None, deduplicate: Deduplicate::Event };
        buses[bus].publish(&topic, vec![outgoing]).await.into_iter().try_for_each(|answer| answer.map(drop))?;
    }
    let rest = task::sleep(stage.until.saturating_sub(elapsed()));
    tokio::select! {
        () = rest => {}
        // A router ends by itself only when it fails.
        ended = routers.next() => ended.unwrap_or(Ok(()))?,
    }
    let mut held = Vec::new();
    for (store, ids) in joins {
        for id in ids {
            let found = join::held(&*store, &group()?, &id).await?;
            held.extend(found.into_iter().map(|holding| (id.clone(), holding)));
        }
    }
    routers.abort().await;
    let (delivered, dead, lines) = recorder.take();
    Ok(Played { delivered, dead, held, lines })
}

/// The router of one bus.
fn wire(
    mut triggers: Vec<Trigger>,
    bus: &Arc<Bus>,
    answers: &BTreeMap<String, Vec<Answer>>,
    recorder: &Arc<Recorder>,
    clock: &Clock,
    shutdown: &Shutdown,
) -> Result<Router, Fault> {
    let ends = Ends::of(&mut triggers);
    let metrics = Arc::new(Metrics::new());
    let sinks = |target: &Target, policy: &Policy| ends.sink(target, policy, bus, answers, recorder);
    let plan = Plan::new(triggers, &sinks, &metrics)?;
    let settings = Settings { parallelism: 1, ..Settings::new(group()?) };
    Router::new(plan, settings, bus.clone(), metrics, recorder.clone(), clock.clone(), shutdown)
}

fn group() -> Result<ConsumerGroup, Fault> {
    ConsumerGroup::new(CONSUMER_GROUP)
        .map_err(|error| Fault::new(FaultKind::Internal, "name a group", error.to_string()))
}

/// The ends of the ways out of the router: whose each is, where it would be, and whether it is for dead letters. Whoever
/// makes a sink is told its target alone, so each target becomes an address that says which end it is.
struct Ends(Vec<(String, String, bool)>);

impl Ends {
    const HOST: &str = "end.invalid";

    fn of(triggers: &mut [Trigger]) -> Self {
        let mut ends = Vec::new();
        for subscriber in triggers.iter_mut().flat_map(|trigger| &mut trigger.subscribers) {
            let dead = match &mut subscriber.dead_letter {
                DeadLetter::Targets(targets) => targets.as_mut_slice(),
                DeadLetter::Generated => &mut [],
            };
            let live = subscriber.targets.iter_mut().map(|target| (target, false));
            for (target, is_dead) in live.chain(dead.iter_mut().map(|target| (target, true))) {
                // A topic of the bus is what it is: others may read it.
                if matches!(target, Target::Topic(_)) {
                    continue;
                }
                let uri = format!("http://{}/{}", Self::HOST, ends.len()).parse();
                ends.push((subscriber.id.clone(), target.to_string(), is_dead));
                if let Ok(uri) = uri {
                    *target = Target::Http(uri);
                }
            }
        }
        Self(ends)
    }

    fn sink(
        &self,
        target: &Target,
        policy: &Policy,
        bus: &Arc<Bus>,
        answers: &BTreeMap<String, Vec<Answer>>,
        recorder: &Arc<Recorder>,
    ) -> Result<Arc<dyn flow::Sink>, Fault> {
        let refused = |text: String| Fault::new(FaultKind::Rejected, "set up a sink", text);
        let recorder = recorder.clone();
        match target {
            Target::Topic(topic) => {
                let topic = Topic::new(topic).map_err(|error| refused(error.to_string()))?;
                let sink = Arc::new(sinks::topic::Sink::new(bus.clone(), topic));
                Ok(Arc::new(Noted { sink, recorder }))
            }
            Target::Http(uri) => {
                let end = uri.path().trim_start_matches('/').parse().ok().and_then(|end: usize| self.0.get(end));
                let (subscriber, address, is_dead) = end.ok_or_else(|| refused(format!("{uri} is no end")))?;
                let answers = if *is_dead { None } else { answers.get(subscriber).cloned() };
                Ok(Arc::new(Scripted {
                    subscriber: subscriber.clone(),
                    address: address.clone(),
                    answers: answers.unwrap_or_default(),
                    config: http_config(uri, policy)?,
                    recorder,
                }))
            }
            other => Err(refused(format!("{other} was not made an end"))),
        }
    }
}
