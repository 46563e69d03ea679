//! One live line at the bottom of a terminal: what came in, what became of it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::narrator::Narrator;
use crate::cli::terminal;
use crate::fault::Fault;
use crate::task::{self, Shutdown};
use crate::telemetry::Metrics;

/// How often the line is drawn.
const INTERVAL: Duration = Duration::from_secs(1);

/// Draws the line until the stop is asked for, and tells how many decisions there was no room for.
///
/// # Errors
/// None.
pub async fn run(metrics: Arc<Metrics>, narrator: Arc<Narrator>, shutdown: Shutdown) -> Result<(), Fault> {
    let mut before = metrics.totals().accepted;
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            () = task::sleep(INTERVAL) => {}
        }
        let untold = narrator.take_untold();
        if untold > 0 {
            tracing::info!(untold, "more decisions were made than can be shown");
        }
        if terminal::is_terminal() {
            let totals = metrics.totals();
            let mut line = format!("in {} ({}/s)", totals.accepted, totals.accepted.saturating_sub(before));
            let counts = [
                ("delivered", totals.delivered),
                ("parked", totals.parked),
                ("dead", totals.dead),
                ("in flight", totals.in_flight),
                ("waiting", totals.waiting),
            ];
            for (word, count) in counts {
                // Writing to a String cannot fail.
                write!(line, " · {word} {count}").unwrap_or_default();
            }
            terminal::show(&line);
            before = totals.accepted;
        }
    }
    terminal::show("");
    Ok(())
}
