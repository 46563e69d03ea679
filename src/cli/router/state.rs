//! Where subscribers that join events keep what they hold: the state store that stands beside the bus.

use std::sync::Arc;

use super::plan::Plan;
use crate::fault::{Fault, FaultKind};
use crate::flow::Store;
use crate::sidecar::{About, Bus};

const OPERATION: &str = "join events behind daprd";

/// The types of state stores that belong to a bus of ours begin so.
const OURS: &str = "state.eventbus.";

/// The store that a plan names, and what the bus can do with it. `None` when nobody joins events and there is none that would do.
///
/// # Errors
/// When somebody joins events: why that cannot be done. Otherwise when the Component does not answer.
pub async fn store(plan: &Plan, bus: &mut Bus, about: &About) -> Result<Option<Arc<dyn Store>>, Fault> {
    let mut subscribers = plan.triggers.iter().flat_map(|trigger| &trigger.subscribers);
    let joins = subscribers.find(|subscriber| subscriber.join.is_some()).map(|subscriber| subscriber.id.as_str());
    match (find(plan, bus, about).await, joins) {
        (Err(fault), None) if !fault.is_retryable() || fault.kind() == FaultKind::NotFound => Ok(None),
        (Err(fault), Some(joins)) => Err(fault.with_context("subscriber", joins)),
        (found, _) => found.map(Some),
    }
}

async fn find(plan: &Plan, bus: &mut Bus, about: &About) -> Result<Arc<dyn Store>, Fault> {
    let unable = |message: &str| Fault::new(FaultKind::Unsupported, OPERATION, message.to_owned());
    let Some(state) = &plan.state else {
        return Err(unable("the plan names no state store of the bus (state.component) to keep in what is held"));
    };
    let component = state.component.as_str();
    let Some(known) = about.component(component) else {
        let fault = Fault::new(FaultKind::NotFound, "find a component", "daprd has not loaded it");
        return Err(fault.with_context("component", component));
    };
    if !known.ty.starts_with(OURS) {
        let fault =
            unable("only a state store of Penstock's own buses (state.eventbus.*) tells when they took events in");
        return Err(fault.with_context("component", component).with_context("type", known.ty.as_str()));
    }
    if !about.takes_parallel_streams() {
        return Err(
            unable("daprd before 1.16 opens one stream of a topic only").with_context("daprd", about.version.as_str())
        );
    }
    Ok(Arc::new(bus.learn(component).await?))
}
