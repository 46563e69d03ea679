//! Buses, made of Components.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::api::Problems;
use crate::api::metadata::Metadata;
#[cfg(feature = "kafka")]
use crate::buses::kafka;
use crate::buses::{embedded, jetstream, redis};
use crate::catalog::{self, BusConfig, Opened};
use crate::component::{Factory, Made};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Bus, Group, Store};
use crate::task::Clock;

/// The key that names a bus. Components that name the same one share it, so that a state store can
/// stand beside a pub/sub; the Component's own name when absent.
const BUS: &str = "bus";

/// All buses of this process by their names, of whatever kind; an embedded one has a folder of its own.
pub struct Buses {
    folder: PathBuf,
    clock: Clock,
    open: Mutex<BTreeMap<String, Open>>,
}

struct Open {
    config: BusConfig,
    opened: Opened,
    /// The Components that it was opened for.
    users: BTreeSet<String>,
}

/// Where embedded buses are, each in a folder of its name, below a data directory.
pub fn folder(data: &Path) -> PathBuf {
    data.join("bus").join("components")
}

impl Buses {
    pub fn new(folder: PathBuf, clock: Clock) -> Self {
        Self { folder, clock, open: Mutex::default() }
    }

    /// The bus `name`, opened now if it is not open yet. Asked for one at a time.
    ///
    /// # Errors
    /// `Rejected` when other Components have it open with other settings; otherwise when it cannot
    /// be opened. The name must be [legal](bus_name), or one that no Component can give.
    pub async fn open(&self, name: &str, user: &str, config: BusConfig) -> Result<Opened, Fault> {
        let refused = |message: String| Fault::new(FaultKind::Rejected, "open a bus", message);
        let changed = match self.open_map().get_mut(name) {
            Some(open) if open.config == config => {
                open.users.insert(user.to_owned());
                return Ok(open.opened.clone());
            }
            Some(open) if open.users.iter().any(|other| other != user) => {
                let others: Vec<&str> = open.users.iter().map(String::as_str).filter(|other| *other != user).collect();
                return Err(refused(format!("{} use the bus {name:?} with other settings", others.join(", "))));
            }
            Some(open) => Some(open.opened.clone()),
            None => None,
        };
        if let Some(opened) = changed {
            opened.bus.close().await?;
            self.open_map().remove(name);
        }
        let opened = catalog::open(config.clone(), &self.folder.join(name), &self.clock).await?;
        let open = Open { config, opened: opened.clone(), users: BTreeSet::from([user.to_owned()]) };
        self.open_map().insert(name.to_owned(), open);
        Ok(opened)
    }

    /// The buses that are open, with their names.
    pub fn open_now(&self) -> Vec<(String, Arc<dyn Bus>)> {
        let named = |(name, open): (&String, &Open)| (name.clone(), open.opened.bus.clone());
        self.open_map().iter().map(named).collect()
    }

    /// The same, by the names of the Components that they were opened for.
    pub fn by_component(&self) -> Vec<(String, Arc<dyn Bus>)> {
        let map = self.open_map();
        let named = |open: &Open| {
            let bus = &open.opened.bus;
            open.users.iter().map(|user| (user.clone(), bus.clone())).collect::<Vec<(String, Arc<dyn Bus>)>>()
        };
        map.values().flat_map(named).collect()
    }

    /// The store of a bus, if that is open now.
    pub fn store(&self, name: &str) -> Option<Arc<dyn Store>> {
        self.open_map().get(name).map(|open| open.opened.store.clone())
    }

    /// Closes all buses.
    ///
    /// # Errors
    /// The first fault of any.
    pub async fn close(&self) -> Result<(), Fault> {
        let all = std::mem::take(&mut *self.open_map());
        let mut first = Ok(());
        for open in all.into_values() {
            first = first.and(open.opened.bus.close().await);
        }
        first
    }

    fn open_map(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the name of the bus out of a Component's metadata.
fn bus_name(instance: &str, metadata: &mut Metadata) -> Result<String, Fault> {
    let name = metadata.remove(BUS).unwrap_or_else(|| instance.to_owned());
    Group::new(&name)
        .map_err(|_| Fault::new(FaultKind::Rejected, "open a bus", format!("{name:?} cannot be the name of a bus")))?;
    Ok(name)
}

/// Reads the metadata of a Component as the settings of a bus; `None` when something is wrong.
type Read = fn(&Metadata, &mut Problems) -> Option<BusConfig>;

/// One kind of bus. Components that name the same bus share it.
pub struct BusKind {
    pub buses: Arc<Buses>,
    pub read: Read,
}

#[async_trait]
impl Factory for BusKind {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut metadata = metadata.clone();
        let name = bus_name(instance, &mut metadata)?;
        let mut problems = Problems::new();
        let config = (self.read)(&metadata, &mut problems).filter(|_| problems.is_empty());
        let config =
            config.ok_or_else(|| Fault::new(FaultKind::Rejected, "read the Component", problems.to_string()))?;
        let Opened { bus, store } = self.buses.open(&name, instance, config.of_components(&name)).await?;
        Ok(Made::Bus { bus, store })
    }
}

pub fn embedded(metadata: &Metadata, problems: &mut Problems) -> Option<BusConfig> {
    let before = problems.len();
    let config = embedded::config::Config::from_metadata(metadata, problems);
    (problems.len() == before).then_some(BusConfig::Embedded(config))
}

pub fn jetstream(metadata: &Metadata, problems: &mut Problems) -> Option<BusConfig> {
    let config = jetstream::config::Config::from_metadata(metadata, problems)?;
    Some(BusConfig::Jetstream(Box::new(config)))
}

#[cfg(feature = "kafka")]
pub fn kafka(metadata: &Metadata, problems: &mut Problems) -> Option<BusConfig> {
    let config = kafka::config::Config::from_metadata(metadata, problems)?;
    Some(BusConfig::Kafka(Box::new(config)))
}

pub fn redis(metadata: &Metadata, problems: &mut Problems) -> Option<BusConfig> {
    let config = redis::config::Config::from_metadata(metadata, problems)?;
    Some(BusConfig::Redis(Box::new(config)))
}
