//! How far a watch has come, as it is kept in the store.
//!
//! The key is `kubernetes/`, the identity of the event (`namespace/source/event`), and the watched namespace (`*` for all).
//! The value is text: the version up to which no change is owed, when that was, and what was watched, as in
//! `4711 2024-05-01T00:00:00Z apps/v1 Deployment app=shop`.

use std::sync::Arc;

use bytes::Bytes;

use super::config::Config;
use crate::fault::Fault;
use crate::flow::{Expect, Store, Write};

/// The place of one watch's mark.
pub(super) struct Mark {
    store: Arc<dyn Store>,
    key: Bytes,
    /// What is watched: a mark of another watch says nothing about this one.
    watched: String,
}

/// The version up to which no change is owed, and when that was (RFC 3339).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) version: String,
    pub(super) time: String,
}

impl Mark {
    pub(super) fn new(store: Arc<dyn Store>, identity: &str, namespace: Option<&str>, config: &Config) -> Self {
        let selectors =
            [&config.label_selector, &config.field_selector].map(|text| text.as_deref().unwrap_or_default());
        let watched = format!("{} {} {}", config.api_version(), config.kind, selectors.join(" "));
        Self { store, key: format!("kubernetes/{identity}/{}", namespace.unwrap_or("*")).into(), watched }
    }

    /// `None` when it runs for the first time, or watched something else before.
    ///
    /// # Errors
    /// When the store cannot answer. A value that cannot be read counts as none.
    pub(super) async fn load(&self) -> Result<Option<Past>, Fault> {
        let Some(stored) = self.store.get(&self.key).await? else { return Ok(None) };
        let text = std::str::from_utf8(&stored.value).unwrap_or_default();
        let mut words = text.splitn(3, ' ').map(str::to_owned);
        let (version, time, watched) = (words.next(), words.next(), words.next());
        Ok(version
            .zip(time)
            .filter(|_| watched.as_ref() == Some(&self.watched))
            .map(|(version, time)| Past { version, time }))
    }

    /// # Errors
    /// When the store cannot write.
    pub(super) async fn save(&self, past: &Past) -> Result<(), Fault> {
        let value = format!("{} {} {}", past.version, past.time, self.watched);
        let write = Write { key: self.key.clone(), value: Some(value.into()), expect: Expect::Anything };
        self.store.write(vec![write]).await.map(|_| ())
    }
}
