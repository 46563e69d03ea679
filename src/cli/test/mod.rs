//! `penstock test`: what Triggers make of given events, beside what they should.
//!
//! The router that runs is the very one of `run`, with everything in it; only its bus, its store and its sinks are in memory,
//! and its time is virtual ([`simulate`](crate::task::simulate)).

mod bus;
mod cases;
mod compare;
mod junit;
mod play;
mod sinks;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value as Json;

use super::documents::{self, Raw};
use super::report::{Report, counted};
use super::routes::Routes;
use super::{Outcome, check, terminal};
use crate::api::secret::Unresolved;
use crate::api::{FieldPath, Problem};
use cases::Case;

/// Tries Triggers out: plays events to them in virtual time, and compares what they deliver with what was expected
#[expect(clippy::doc_markdown, reason = "the text is the help of the command")]
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Nothing is listened to and nothing is sent: the router runs between a bus in memory and sinks that answer as
the cases say. See docs/testing.md for how cases are written.

Exit codes: 0 every case is as expected, 1 at least one is not, 2 a file is wrong.

Examples:
  penstock test -f flow.yaml -t cases.yaml
  penstock test -f examples/join -t examples/join/tests --junit report.xml"
)]
pub struct Options {
    /// YAML with Triggers: a file or a folder. Several are read together
    #[arg(long = "file", short = 'f', required = true, value_name = "PATH")]
    files: Vec<PathBuf>,

    /// YAML with cases: a file or a folder. Several are played one after the other
    #[arg(long = "test", short = 't', required = true, value_name = "PATH")]
    tests: Vec<PathBuf>,

    /// Play only cases that have this in their name
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Also write the result to this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Show every decision also of cases that are as expected
    #[arg(long, short)]
    verbose: bool,
}

/// The cases of one file.
struct Suite {
    file: String,
    cases: Vec<Case>,
}

/// How one case ended.
struct Verdict {
    name: String,
    /// Every difference, in words.
    differences: Vec<String>,
    /// What happened, a line for each decision.
    lines: Vec<String>,
}

/// Reads everything, plays the cases, and tells the result to `out`.
///
/// # Errors
/// When something cannot be written, or the router does not run.
pub fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let (documents, mut report) = documents::load(&options.files, &mut std::io::empty());
    check::judge(&documents, check::Access::Own, &Unresolved, &mut report);
    report.refuse_unsupported();
    if report.has_errors() {
        return refuse(&report);
    }
    let routes = Routes::of(&documents);
    let (raws, mut report) = documents::read_raw(&options.tests, &mut std::io::empty());
    let suites = read(raws, &routes, &mut report);
    if report.has_errors() {
        return refuse(&report);
    }
    let wanted = |case: &Case| options.only.as_ref().is_none_or(|text| case.name.contains(text.as_str()));
    let (mut results, mut all, mut failed) = (Vec::new(), 0, 0);
    for Suite { file, cases } in &suites {
        writeln!(out, "{file}")?;
        let mut verdicts = Vec::new();
        for case in cases.iter().filter(|case| wanted(case)) {
            let played = play::play(&routes, case).with_context(|| format!("{file}: {:?}", case.name))?;
            let differences = compare::differences(case, &played);
            let verdict = Verdict { name: case.name.clone(), differences, lines: played.lines };
            tell(&verdict, options.verbose, out)?;
            all += 1;
            failed += usize::from(!verdict.differences.is_empty());
            verdicts.push(verdict);
        }
        results.push((file.as_str(), verdicts));
    }
    if let Some(path) = &options.junit {
        let write = std::fs::write(path, junit::write(&results));
        write.with_context(|| format!("cannot write {}", path.display()))?;
    }
    if all == 0 {
        // A pipeline that tries nothing by mistake must not pass.
        writeln!(std::io::stderr(), "penstock: there is no case to play")?;
        return Ok(Outcome::Refused);
    }
    let count = counted(all, "case").unwrap_or_default();
    writeln!(out, "{count}: {} as expected, {failed} not", all - failed)?;
    Ok(if failed == 0 { Outcome::Done } else { Outcome::Unmet })
}

fn refuse(report: &Report) -> anyhow::Result<Outcome> {
    let mut err = std::io::stderr().lock();
    report.write_lines(&mut err, terminal::is_terminal())?;
    writeln!(err, "{}", report.summary())?;
    Ok(Outcome::Refused)
}

/// The suites of the documents, each of which has `cases` alone. What is wrong goes to the report, with its place.
fn read(raws: Vec<Raw>, routes: &Routes, report: &mut Report) -> Vec<Suite> {
    let mut suites = Vec::new();
    for Raw { file, value, places, .. } in raws {
        let path = FieldPath::root().field("cases");
        let mut wrong = |path: &FieldPath, message: String| {
            let problem = Problem { path: path.clone(), message, help: None };
            report.add_raw(&file, &places, problem);
        };
        let Json::Object(mut members) = value else {
            wrong(&FieldPath::root(), "expected an object with \"cases\"".to_owned());
            continue;
        };
        let cases = members.shift_remove("cases");
        if let Some(name) = members.keys().next() {
            wrong(&FieldPath::root().field(name), format!("unknown field {name:?} (known: cases)"));
        }
        let Some(Json::Array(values)) = cases else {
            wrong(&path, "required (a list) and missing".to_owned());
            continue;
        };
        let mut cases = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            match Case::read(value, routes) {
                Ok(case) => cases.push(case),
                Err(message) => wrong(&path.index(index), message),
            }
        }
        suites.push(Suite { file: file.to_string(), cases });
    }
    suites
}

fn tell(verdict: &Verdict, verbose: bool, out: &mut dyn Write) -> std::io::Result<()> {
    let Verdict { name, differences, lines } = verdict;
    let word = if differences.is_empty() { "ok  " } else { "FAIL" };
    writeln!(out, "  {word}  {name}")?;
    for difference in differences {
        writeln!(out, "        {}", difference.replace('\n', "\n        "))?;
    }
    if verbose || !differences.is_empty() {
        writeln!(out, "        what happened:")?;
        for line in lines {
            writeln!(out, "        {}", line.replace('\n', "\n        "))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
