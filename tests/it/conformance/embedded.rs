//! The suite on the embedded bus.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use penstock::buses::embedded::Embedded;
use penstock::buses::embedded::config::Config;
use penstock::fault::FaultKind;
use penstock::flow::{Bus, Position, Store, Topic};
use penstock::task::Clock;
use tempfile::TempDir;

use super::Backend;

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

pub async fn open(directory: &Path, config: Config) -> Arc<Embedded> {
    Arc::new(Embedded::open(directory, config, Clock::system()).await.unwrap())
}

#[async_trait]
impl Backend for Directory {
    async fn open_with_store(&self) -> (Arc<dyn Bus>, Arc<dyn Store>) {
        let bus = open(self.0.path(), Config::default()).await;
        (bus.clone(), bus)
    }

    async fn damage(&self, topic: &Topic, position: Position) -> bool {
        let database = fjall::Database::builder(self.0.path().join("db")).open().unwrap();
        let topics = database.keyspace("topics", Default::default).unwrap();
        let log = database.keyspace("log", Default::default).unwrap();
        let record = topics.get(topic.as_str()).unwrap().unwrap();
        let key = [&record[..4], &position.major.to_be_bytes()].concat();
        let mut value = log.get(&key).unwrap().unwrap().to_vec();
        value.truncate(15);
        log.insert(key, value).unwrap();
        database.persist(fjall::PersistMode::SyncAll).unwrap();
        true
    }
}

super::suite!(Directory::new());

#[tokio::test]
async fn a_second_open_is_refused_and_names_the_directory() {
    let directory = Directory::new();
    let bus = open(directory.0.path(), Config::default()).await;
    let fault = Embedded::open(directory.0.path(), Config::default(), Clock::system()).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Conflict);
    assert!(fault.to_string().contains(&directory.0.path().display().to_string()), "{fault}");
    bus.close().await.unwrap();
    open(directory.0.path(), Config::default()).await;
}
