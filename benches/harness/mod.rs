//! A small harness for benches: alternating runs, medians, and ratios within one run.
//!
//! Only ratios between things measured side by side mean anything on a shared machine, so each
//! contender runs in turn, several times, and its median counts.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates need no 53 bits")]

use std::time::Duration;

/// How much work a bench does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// `cargo bench`: long enough to mean something.
    Measure,
    /// `cargo test --benches`, or `--test`: just enough to see that everything works.
    Try,
}

impl Effort {
    /// Cargo passes `--bench` when it benches, and nothing when it tests.
    pub fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
        if has("--bench") && !has("--test") { Self::Measure } else { Self::Try }
    }

    /// One of two amounts.
    pub fn pick<T>(self, measure: T, attempt: T) -> T {
        match self {
            Self::Measure => measure,
            Self::Try => attempt,
        }
    }
}

/// What one run did.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub events: usize,
    pub took: Duration,
}

impl Run {
    pub fn per_second(self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }
}

/// The median rate of several runs, in events per second.
pub fn median(runs: &[Run]) -> f64 {
    let mut rates: Vec<f64> = runs.iter().map(|run| run.per_second()).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Prints one line: who, how fast, and how that compares.
pub fn report(name: &str, rate: f64, against: Option<(&str, f64)>) {
    match against {
        Some((other, base)) => println!("{name:<44} {rate:>12.0} events/s  {:>6.2} of {other}", rate / base),
        None => println!("{name:<44} {rate:>12.0} events/s"),
    }
}

/// The memory of this process that is resident, in bytes.
#[allow(dead_code, reason = "not every bench asks")]
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).map_or(0, |kib| kib * 1024)
}
