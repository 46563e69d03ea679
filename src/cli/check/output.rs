//! What `check` prints.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::json;

use crate::api::GROUP;
use crate::cli::documents::Documents;
use crate::cli::report::{Report, Severity, counted};

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line per finding, and a count
    Text,
    /// As text, coloured for a terminal
    #[value(skip)]
    Coloured,
    /// One JSON object
    Json,
}

pub(super) fn write(documents: &Documents, report: &Report, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text | Format::Coloured => {
            report.write_lines(out, format == Format::Coloured)?;
            writeln!(out, "{}", summary(documents, report))
        }
        Format::Json => {
            let result = json!({
                "ok": !report.has_errors() && !documents.is_empty(),
                "objects": documents.len(),
                "errors": report.count(Severity::Error),
                "unsupported": report.count(Severity::Unsupported),
                "warnings": report.count(Severity::Warning),
                "findings": report.findings(),
            });
            serde_json::to_writer_pretty(&mut *out, &result)?;
            writeln!(out)
        }
    }
}

/// `2 objects are right: 1 EventSource, 1 Trigger (1 warning in 1 file)`, or the count of errors.
fn summary(documents: &Documents, report: &Report) -> String {
    if report.has_errors() {
        return report.summary();
    }
    if documents.is_empty() {
        return format!("there is no object of {GROUP}: {}", report.summary());
    }
    let kinds = [
        ("EventSource", documents.sources.len(), "EventSources"),
        ("EventBus", documents.buses.len(), "EventBuses"),
        ("ClusterEventBus", documents.cluster_buses.len(), "ClusterEventBuses"),
        ("Trigger", documents.triggers.len(), "Triggers"),
    ];
    let named = kinds.into_iter().filter(|(_, count, _)| *count > 0);
    let named: Vec<String> =
        named.map(|(one, count, many)| format!("{count} {}", if count == 1 { one } else { many })).collect();
    let verb = if documents.len() == 1 { "is" } else { "are" };
    let objects = counted(documents.len(), "object").unwrap_or_default();
    format!("{objects} {verb} right: {} ({})", named.join(", "), report.summary())
}
