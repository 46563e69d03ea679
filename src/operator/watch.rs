//! Watches: what the API server says about each kind, kept in the [`World`], and who is to look at it told to
//! the queue.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use kube::api::Api;
use kube::core::GroupVersionKind;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Error, discovery};
use tokio::sync::mpsc;

use super::child::{MANAGED_BY, MANAGER};
use super::interest::Interests;
use super::kept::{Kept, Place, Sent};
use super::queue::Queue;
use super::resource::{
    CHILDREN, CLUSTER_EVENT_BUS, COMPONENT, EVENT_BUS, EVENT_SOURCE, FUNCTION, NAMESPACE, Resource, SERVICE, TRIGGER,
};
use super::world::{Change, State, World};
use crate::fault::Fault;
use crate::task::{self, Backoff, Group, Shutdown};

/// Between two tries of a watch that fails, or of a kind that is not there yet.
const PAUSE: Backoff =
    Backoff { base: Duration::from_millis(500), factor: 2.0, jitter: 0.2, cap: Duration::from_secs(10) };

/// Kinds that Triggers have asked for and that nobody watches yet. They are asked for again by the next look.
const WANTED_BOUND: usize = 64;

/// How many objects are read at a time: the answer is in memory as a whole.
const PAGE: u32 = 100;

/// What all watches share.
#[derive(Clone)]
pub struct Watches {
    client: Client,
    world: Arc<World>,
    interests: Arc<Interests>,
    queue: Arc<Queue>,
    /// Empty for the whole cluster.
    namespaces: Vec<String>,
    wanted: mpsc::Sender<Resource>,
}

impl Watches {
    pub fn new(
        client: Client,
        (world, interests, queue): (Arc<World>, Arc<Interests>, Arc<Queue>),
        namespaces: Vec<String>,
    ) -> (Self, mpsc::Receiver<Resource>) {
        let (wanted, asked) = mpsc::channel(WANTED_BOUND);
        (Self { client, world, interests, queue, namespaces, wanted }, asked)
    }

    /// Says which kinds are always watched.
    pub fn kinds(&self) -> Vec<Resource> {
        let mut kinds = vec![EVENT_SOURCE, EVENT_BUS, TRIGGER];
        kinds.extend(CHILDREN);
        if self.namespaces.is_empty() {
            kinds.extend([CLUSTER_EVENT_BUS, NAMESPACE]);
        }
        kinds.into_iter().map(Resource::of).collect()
    }

    /// Watches a kind that a Trigger refers to, from the next moment on, when nobody does yet.
    pub fn want(&self, group: &str, version: &str, kind: &str) -> Resource {
        // The API server knows the plural.
        let resource =
            Resource { group: group.into(), version: version.into(), kind: kind.into(), plural: String::new() };
        if !self.world.is_expected(&resource) {
            // A queue that is full is asked again by the next look.
            self.wanted.try_send(resource.clone()).unwrap_or_default();
        }
        resource
    }

    /// Watches everything that is always watched, and what is asked for, until the group is told to stop.
    pub fn start(self, mut asked: mpsc::Receiver<Resource>, tasks: &mut Group) {
        let shutdown = tasks.shutdown().clone();
        for resource in self.kinds() {
            self.begin(&resource, tasks);
        }
        tasks.spawn(async move {
            let mut others = Group::new(&shutdown);
            loop {
                // Both are cancel-safe.
                let resource = tokio::select! {
                    () = shutdown.requested() => break,
                    Some(resource) = asked.recv() => resource,
                };
                if self.world.is_expected(&resource) {
                    continue;
                }
                self.world.expect(&resource, self.parts().len());
                let (watches, stop) = (self.clone(), shutdown.clone());
                others.spawn(async move { watches.discover(resource, &stop).await });
            }
            others.join().await
        });
    }

    fn begin(&self, resource: &Resource, tasks: &mut Group) {
        let parts = if resource.is(CLUSTER_EVENT_BUS) || resource.is(NAMESPACE) { vec![None] } else { self.parts() };
        self.world.expect(resource, parts.len());
        for part in parts {
            let (watches, resource, shutdown) = (self.clone(), resource.clone(), tasks.shutdown().clone());
            tasks.spawn(async move {
                watches.watch(&resource, part.as_deref(), &shutdown).await;
                Ok(())
            });
        }
    }

    /// The namespaces, or the whole cluster.
    fn parts(&self) -> Vec<Option<String>> {
        if self.namespaces.is_empty() { vec![None] } else { self.namespaces.iter().cloned().map(Some).collect() }
    }

    /// Waits until the cluster has a kind, then watches it.
    async fn discover(self, resource: Resource, shutdown: &Shutdown) -> Result<(), Fault> {
        let kind = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
        let mut failures = 0;
        let found = loop {
            let found = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                found = discovery::pinned_kind(&self.client, &kind) => found,
            };
            match found {
                Ok((found, _)) => break Resource { plural: found.plural, ..resource },
                // Not a word about this kind: the group is there, or even that is not.
                Err(error) => self.refuse(&resource, state_of(&error).unwrap_or(State::Missing)),
            }
            failures += 1;
            if rest(failures, shutdown).await {
                return Ok(());
            }
        };
        let mut tasks = Group::new(shutdown);
        self.begin(&found, &mut tasks);
        tasks.join().await
    }

    fn refuse(&self, resource: &Resource, state: State) {
        if self.world.refuse(resource, state) {
            tracing::warn!(kind = %resource, ?state, "a kind cannot be watched; looking for it until it can");
            self.queue.add(self.interests.in_kind(resource));
        }
    }

    /// Watches one part of the cluster until `shutdown`.
    async fn watch(&self, resource: &Resource, part: Option<&str>, shutdown: &Shutdown) {
        let mut failures = 0;
        while !shutdown.is_requested() {
            let kind = resource.api_resource();
            let api: Api<Sent> = match part {
                Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
                None => Api::all_with(self.client.clone(), &kind),
            };
            let watched = tokio::select! {
                () = shutdown.requested() => return,
                watched = self.follow(resource, part, api, &mut failures) => watched,
            };
            let Err(error) = watched else { continue };
            let cause = match &error {
                watcher::Error::InitialListFailed(cause)
                | watcher::Error::WatchStartFailed(cause)
                | watcher::Error::WatchFailed(cause) => state_of(cause),
                watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
            };
            match cause {
                Some(state) => self.refuse(resource, state),
                None => {
                    tracing::debug!(kind = %resource, error = &error as &dyn std::error::Error, "a watch broke off");
                }
            }
            failures += 1;
            if rest(failures, shutdown).await {
                return;
            }
        }
    }

    /// Follows one watch until it fails.
    async fn follow(
        &self,
        resource: &Resource,
        part: Option<&str>,
        api: Api<Sent>,
        failures: &mut u32,
    ) -> Result<(), watcher::Error> {
        // Sinks may be Components, Services and Functions of others.
        let may_be_sinks = [COMPONENT, SERVICE, FUNCTION];
        let is_one_of = |kinds: &[_]| kinds.iter().any(|known| resource.is(*known));
        let only_ours = is_one_of(&CHILDREN) && !is_one_of(&may_be_sinks);
        let mut config = watcher::Config::default().page_size(PAGE);
        if only_ours {
            config = config.labels(&format!("{}={MANAGER}", MANAGED_BY.0));
        }
        let mut events = std::pin::pin!(watcher::watcher(api, config).fuse());
        let mut read: Vec<(Place, Kept)> = Vec::new();
        while let Some(event) = events.try_next().await? {
            match event {
                Event::Init => read.clear(),
                Event::InitApply(object) => read.push(Kept::of(resource, object)),
                Event::InitDone => {
                    *failures = 0;
                    let (changes, known) = self.world.replace(resource, part, std::mem::take(&mut read));
                    for change in changes {
                        self.queue.add(self.interests.concerned(resource, &change));
                    }
                    if known {
                        self.queue.add(self.interests.in_kind(resource));
                    }
                }
                Event::Apply(object) => {
                    let (place, object) = Kept::of(resource, object);
                    self.spread(resource, self.world.set(resource, part, place, object));
                }
                Event::Delete(object) => {
                    let (place, object) = Kept::of(resource, object);
                    self.spread(resource, self.world.unset(resource, part, place, object.version()));
                }
            }
        }
        Ok(())
    }

    fn spread(&self, resource: &Resource, change: Option<Change>) {
        if let Some(change) = change {
            self.queue.add(self.interests.concerned(resource, &change));
        }
    }
}

/// Waits before the next try; whether it is time to stop.
async fn rest(failures: u32, shutdown: &Shutdown) -> bool {
    tokio::select! {
        () = shutdown.requested() => true,
        () = task::sleep(PAUSE.pause(failures)) => false,
    }
}

/// What the API server says of a kind that cannot be read; `None` when it says nothing of the kind.
fn state_of(error: &Error) -> Option<State> {
    match error {
        Error::Api(status) if status.code == 404 => Some(State::Missing),
        Error::Api(status) if status.code == 403 => Some(State::Forbidden),
        _ => None,
    }
}
