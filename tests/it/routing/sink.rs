//! A sink that fails as often as it is told, and remembers what it took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use penstock::event::Event;
use penstock::fault::{Fault, FaultKind};
use penstock::flow::{Accepted, Sink};

#[derive(Clone)]
pub struct TestSink(Arc<Inner>);

struct Inner {
    address: &'static str,
    /// Of 100 attempts, this many fail.
    fails: AtomicU32,
    /// How often each event was taken.
    taken: Mutex<BTreeMap<usize, usize>>,
}

impl TestSink {
    /// Fails `fails` of 100 attempts, at random.
    pub fn new(address: &'static str, fails: u32) -> Self {
        Self(Arc::new(Inner { address, fails: fails.into(), taken: Mutex::default() }))
    }

    pub fn now_fails(&self, fails: u32) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    /// How often each event was taken, by id.
    pub fn taken(&self) -> BTreeMap<usize, usize> {
        self.0.taken.lock().unwrap().clone()
    }
}

#[async_trait]
impl Sink for TestSink {
    fn address(&self) -> &str {
        self.0.address
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        let ours: Vec<_> = event.attributes().map(|(name, _)| name).filter(|name| *name != "subject").collect();
        assert!(ours.is_empty(), "nothing of the way is left on the event: {ours:?}");
        tokio::task::yield_now().await;
        if fastrand::u32(..100) < self.0.fails.load(Ordering::SeqCst) {
            return Err(Fault::new(FaultKind::Unavailable, "post the event", "as told"));
        }
        *self.0.taken.lock().unwrap().entry(event.id().parse().unwrap()).or_default() += 1;
        Ok(Accepted { code: Some(200), reply: None })
    }
}
