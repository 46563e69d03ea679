//! Embedded buses, made of Components.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::api::Problems;
use crate::api::metadata::Metadata;
use crate::buses::embedded::config::Config;
use crate::catalog::{self, BusConfig, Opened};
use crate::component::{Factory, Made};
use crate::fault::{Fault, FaultKind};
use crate::flow::Group;
use crate::task::Clock;

/// The key that names a bus. Components that name the same one share it, so that a state store can
/// stand beside a pub/sub; the Component's own name when absent.
const BUS: &str = "bus";

/// Embedded buses by name, each in a folder of its own.
pub struct EmbeddedBus {
    folder: PathBuf,
    clock: Clock,
    open: Mutex<BTreeMap<String, Open>>,
}

struct Open {
    config: Config,
    opened: Opened,
    /// The Components that it was opened for.
    users: BTreeSet<String>,
}

impl EmbeddedBus {
    pub fn new(folder: PathBuf, clock: Clock) -> Self {
        Self { folder, clock, open: Mutex::default() }
    }

    /// The bus `name`, opened now if it is not open yet. Asked for one at a time.
    ///
    /// # Errors
    /// `Rejected` when other Components have it open with other settings; otherwise when it cannot
    /// be opened.
    pub async fn open(&self, name: &str, user: &str, config: Config) -> Result<Opened, Fault> {
        let refused = |message: String| Fault::new(FaultKind::Rejected, "open a bus", message);
        Group::new(name).map_err(|_| refused(format!("{name:?} cannot be the name of a bus")))?;
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
        let opened = catalog::open(BusConfig::Embedded(config.clone()), &self.folder.join(name), &self.clock).await?;
        let open = Open { config, opened: opened.clone(), users: BTreeSet::from([user.to_owned()]) };
        self.open_map().insert(name.to_owned(), open);
        Ok(opened)
    }

    /// Why one of the buses cannot do its work.
    pub fn ailment(&self) -> Option<Fault> {
        self.open_map().values().find_map(|open| open.opened.bus.ailment())
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

#[async_trait]
impl Factory for EmbeddedBus {
    async fn make(&self, instance: &str, metadata: &Metadata) -> Result<Made, Fault> {
        let mut metadata = metadata.clone();
        let name = metadata.remove(BUS).unwrap_or_else(|| instance.to_owned());
        let mut problems = Problems::new();
        let config = Config::from_metadata(&metadata, &mut problems);
        if !problems.is_empty() {
            return Err(Fault::new(FaultKind::Rejected, "read the Component", problems.to_string()));
        }
        let Opened { bus, store } = self.open(&name, instance, config).await?;
        Ok(Made::Bus { bus, store })
    }
}
