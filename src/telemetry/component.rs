//! What one Component behind daprd counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::label::{ComponentEvents, ComponentForm, ComponentLabels, ComponentMessages, ComponentOutcome};

/// The families of all Components.
#[derive(Debug, Default)]
pub(super) struct Families {
    events: Family<ComponentEvents, Counter>,
    messages: Family<ComponentMessages, Counter>,
    in_flight: Family<ComponentLabels, Gauge>,
    errors: Family<ComponentLabels, Counter>,
}

impl Families {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("component_events", "Events of each Component, by outcome", self.events.clone());
        registry.register("component_messages", "Messages to daprd, by what is in them", self.messages.clone());
        let help = "Events handed to daprd and not answered yet";
        registry.register("component_in_flight", help, self.in_flight.clone());
        let help = "Initialisations and subscriptions that were refused or failed";
        registry.register("component_errors", help, self.errors.clone());
    }

    pub fn component(&self, name: &str) -> Component {
        let component = || name.to_owned();
        let events = |outcome| self.events.get_or_create_owned(&ComponentEvents { component: component(), outcome });
        let messages = |form| self.messages.get_or_create_owned(&ComponentMessages { component: component(), form });
        let labels = ComponentLabels { component: component() };
        Component {
            published: events(ComponentOutcome::Published),
            refused: events(ComponentOutcome::Refused),
            sent: events(ComponentOutcome::Sent),
            acked: events(ComponentOutcome::Acked),
            nacked: events(ComponentOutcome::Nacked),
            frames: messages(ComponentForm::Frame),
            singles: messages(ComponentForm::Single),
            heartbeats: messages(ComponentForm::Heartbeat),
            in_flight: self.in_flight.get_or_create_owned(&labels),
            errors: self.errors.get_or_create_owned(&labels),
        }
    }
}

/// What one Component counts.
#[derive(Clone, Debug)]
pub struct Component {
    /// Taken from daprd and kept.
    pub published: Counter,
    /// Taken from daprd and not kept, which daprd was told.
    pub refused: Counter,
    /// Handed to daprd.
    pub sent: Counter,
    /// Handled, as daprd says.
    pub acked: Counter,
    /// Not handled, as daprd says.
    pub nacked: Counter,
    /// Messages with many events.
    pub frames: Counter,
    /// Messages of one event.
    pub singles: Counter,
    /// Messages without events.
    pub heartbeats: Counter,
    /// Events handed to daprd and not answered.
    pub in_flight: Gauge,
    /// Initialisations and subscriptions that were refused or failed.
    pub errors: Counter,
}
