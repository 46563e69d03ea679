//! One line per event.

use async_trait::async_trait;

use crate::event::{Data, Event};
use crate::fault::{Fault, excerpt};
use crate::flow::{self, Accepted};

/// How much of an event's data is shown: a line that still can be read on a terminal.
const MAX_DATA: usize = 256;

/// Takes every event and writes a line about it, at level info.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sink;

#[async_trait]
impl flow::Sink for Sink {
    fn address(&self) -> &'static str {
        "log:"
    }

    async fn deliver(&self, event: &Event) -> Result<Accepted, Fault> {
        tracing::info!(
            id = event.id(),
            source = event.source(),
            r#type = event.ty(),
            subject = event.subject(),
            time = event.time(),
            data = event.data().map(show),
            "event"
        );
        Ok(Accepted::default())
    }
}

fn show(data: Data<'_>) -> String {
    match data {
        Data::Text(text) if text.len() > MAX_DATA => format!("{}...", excerpt(text.as_bytes(), MAX_DATA)),
        Data::Text(text) => excerpt(text.as_bytes(), MAX_DATA),
        Data::Binary(bytes) => format!("{} bytes of binary data", bytes.len()),
    }
}
