//! The store of a bus that another Component of this process opens.

use std::sync::Arc;

use async_trait::async_trait;

use super::bus::Buses;
use crate::fault::{Fault, FaultKind};
use crate::flow::{Revision, Store, Stored, Write};

/// The store of the bus of that name, whenever it is open: Components come and go in any order.
pub struct Lent {
    pub buses: Arc<Buses>,
    pub bus: String,
}

impl Lent {
    fn store(&self) -> Result<Arc<dyn Store>, Fault> {
        self.buses.store(&self.bus).ok_or_else(|| {
            let message = "no Component beside this one has the bus open";
            Fault::new(FaultKind::Unavailable, "keep how far a source has come", message)
                .with_context("bus", self.bus.as_str())
        })
    }
}

#[async_trait]
impl Store for Lent {
    async fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        self.store()?.get(key).await
    }

    async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Stored>, Fault> {
        self.store()?.scan(prefix, limit).await
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Revision>, Fault> {
        self.store()?.write(batch).await
    }
}
