//! What an operator counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::Metrics;

/// A kind of object, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Looks {
    kind: String,
    outcome: &'static str,
}

/// A kind of object, and what was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Writes {
    kind: String,
    verb: &'static str,
}

/// The handles of an operator.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    looks: Family<Looks, Counter>,
    writes: Family<Writes, Counter>,
    queue: Gauge,
    leader: Gauge,
}

impl Metrics {
    /// Adds what an operator counts.
    pub fn operator(&mut self) -> Operator {
        let operator = Operator::default();
        let registry = &mut self.registry;
        registry.register("operator_reconciles", "Objects looked at, by outcome", operator.looks.clone());
        registry.register("operator_writes", "Requests that write, by kind and verb", operator.writes.clone());
        registry.register("operator_queue", "Objects that are to be looked at", operator.queue.clone());
        registry.register("operator_leader", "1 while this process is the one that writes", operator.leader.clone());
        operator
    }
}

impl Operator {
    /// An object was looked at.
    pub fn looked(&self, kind: &str, well: bool) {
        let outcome = if well { "done" } else { "failed" };
        self.looks.get_or_create(&Looks { kind: kind.to_owned(), outcome }).inc();
    }

    /// A request was made that writes.
    pub fn wrote(&self, kind: &str, verb: &'static str) {
        self.writes.get_or_create(&Writes { kind: kind.to_owned(), verb }).inc();
    }

    pub fn waiting(&self, objects: usize) {
        self.queue.set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }
}
