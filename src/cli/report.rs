//! What is wrong with documents, printed by place: for people, or as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::documents::{Origin, Place, Places};
use crate::api::{Problem, Problems};

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A line per finding and a count, coloured when asked for.
    Text { colour: bool },
    /// One JSON object.
    Json,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    /// Right, but this version cannot run it yet.
    Unsupported,
    Warning,
}

/// One thing that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub file: String,
    /// Absent when the file itself could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// `Kind namespace/name`, as far as it is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The path inside the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Everything that was found in all documents.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    files: usize,
}

impl Report {
    /// Adds what was found in one object; what is said about repaired parts is left out.
    pub fn add(&mut self, origin: &Origin, problems: Problems) {
        let by_severity = [
            (Severity::Unsupported, problems.not_supported().to_vec()),
            (Severity::Warning, problems.warnings().to_vec()),
            (Severity::Error, problems.into_vec()),
        ];
        for (severity, problems) in by_severity {
            for problem in problems.into_iter().filter(|problem| origin.is_whole(&problem.path)) {
                self.found(origin, severity, problem);
            }
        }
    }

    /// Adds what is wrong in a document that is no object of ours.
    pub fn add_raw(&mut self, file: &str, places: &Places, problem: Problem) {
        let Place { line, column } = places.of(&problem.path);
        self.findings.push(Finding {
            severity: Severity::Error,
            file: file.to_owned(),
            line: Some(line),
            column: Some(column),
            object: String::new(),
            path: problem.path.to_string(),
            message: problem.message,
            help: problem.help,
        });
    }

    fn found(&mut self, origin: &Origin, severity: Severity, problem: Problem) {
        let Place { line, column } = origin.places.of(&problem.path);
        self.findings.push(Finding {
            severity,
            file: origin.file.to_string(),
            line: Some(line),
            column: Some(column),
            object: origin.object.clone(),
            path: problem.path.to_string(),
            message: problem.message,
            help: problem.help,
        });
    }

    /// A path that could not be read at all.
    pub(super) fn unreadable(&mut self, file: &str, message: String) {
        self.text_error(file, None, message);
    }

    /// A place that could not be read as YAML.
    pub(super) fn flaw(&mut self, file: &str, place: Place, message: String) {
        self.text_error(file, Some(place), message);
    }

    fn text_error(&mut self, file: &str, place: Option<Place>, message: String) {
        self.findings.push(Finding {
            severity: Severity::Error,
            file: file.to_owned(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            object: String::new(),
            path: String::new(),
            message,
            help: None,
        });
    }

    pub(super) fn saw_file(&mut self) {
        self.files += 1;
    }

    /// From now on, what cannot be run is an error: for commands that run documents.
    pub fn refuse_unsupported(&mut self) {
        for finding in &mut self.findings {
            if finding.severity == Severity::Unsupported {
                finding.severity = Severity::Error;
            }
        }
    }

    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Everything that was found, by file and place.
    pub fn findings(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| (&finding.file, finding.line, finding.column, finding.severity));
        findings
    }

    /// Prints the findings, nothing more.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write_lines(&self, out: &mut dyn Write, colour: bool) -> io::Result<()> {
        self.findings().into_iter().try_for_each(|finding| finding.write(out, colour))
    }

    /// `3 errors, 1 warning in 2 files`; only what there is.
    pub fn summary(&self) -> String {
        let counts = [
            counted(self.count(Severity::Error), "error"),
            counted(self.count(Severity::Warning) + self.count(Severity::Unsupported), "warning"),
        ];
        let found: Vec<String> = counts.into_iter().flatten().collect();
        let files = counted(self.files, "file").unwrap_or_else(|| "no file".to_owned());
        if found.is_empty() { format!("nothing wrong in {files}") } else { format!("{} in {files}", found.join(", ")) }
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

impl Finding {
    fn write(&self, out: &mut dyn Write, colour: bool) -> io::Result<()> {
        let paint = |code: &str, text: &str| {
            if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
        };
        let mut place = self.file.clone();
        for number in [self.line, self.column].into_iter().flatten() {
            place = format!("{place}:{number}");
        }
        write!(out, "{}: ", paint("1", &place))?;
        if self.severity != Severity::Error {
            write!(out, "{}: ", paint("33", "warning"))?;
        }
        for part in [&self.object, &self.path].into_iter().filter(|part| !part.is_empty()) {
            write!(out, "{part}: ")?;
        }
        // A message may go on with a drawing of the place; the help belongs before it.
        let (message, drawing) = self.message.split_once('\n').unwrap_or((&self.message, ""));
        let message = if self.severity == Severity::Error { paint("31", message) } else { message.to_owned() };
        write!(out, "{message}")?;
        if let Some(help) = &self.help {
            write!(out, " ({help})")?;
        }
        writeln!(out)?;
        drawing.lines().filter(|line| !line.trim().is_empty()).try_for_each(|line| writeln!(out, "{line}"))
    }
}

/// A number and what it counts; nothing for zero.
pub fn counted(number: usize, what: &str) -> Option<String> {
    match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{number} {what}s")),
    }
}
