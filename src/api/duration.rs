//! Durations as people write them: Go's (`1h30m`, `200ms`) and ISO 8601's (`PT0.2S`).

use std::time::Duration;

use super::any::IntOrText;

/// The longest duration taken, 100 years: longer ones are typing errors.
const MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads a duration of either form.
///
/// # Errors
/// What is wrong, and what the forms look like.
pub fn parse(text: &str) -> Result<Duration, String> {
    let parsed = if text.starts_with(['P', 'p']) { iso(text) } else { go(text) };
    parsed
        .filter(|duration| *duration <= MAX)
        .ok_or_else(|| format!("{text:?} is not a duration: write it like \"10s\", \"1h30m\" or \"PT10S\""))
}

/// As [`parse`]; a whole number is nanoseconds (Argo's form).
///
/// # Errors
/// As [`parse`].
pub fn parse_or_nanos(value: &IntOrText) -> Result<Duration, String> {
    match value {
        IntOrText::Text(text) => parse(text),
        IntOrText::Int(nanos) => u64::try_from(*nanos)
            .map(Duration::from_nanos)
            .map_err(|_| format!("{nanos} is not a duration: it must not be negative")),
    }
}

/// Go: a sum of numbers with units. No sign: a pause is never negative.
fn go(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

/// ISO 8601: weeks, days, hours, minutes, seconds; years and months have no fixed length.
fn iso(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.parse().ok()?;
    if span.get_years() != 0 || span.get_months() != 0 || span.is_negative() {
        return None;
    }
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let rest = span.weeks(0).days(0).to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    let total = rest.checked_add(jiff::SignedDuration::from_hours(days * 24))?;
    Duration::try_from(total).ok()
}
