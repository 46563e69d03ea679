//! Single values that many fields share: words of a closed list, and durations. Each reports what
//! is wrong at its path.

use std::time::Duration;

use super::{FieldPath, Problems, duration};

/// What the word stands for, among the known words.
pub fn word<T: Copy>(text: &str, known: &[(&str, T)], path: &FieldPath, problems: &mut Problems) -> Option<T> {
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        problems.unknown_value(path, text, &words);
    }
    found
}

/// A duration; zero is one.
pub fn span(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Duration> {
    duration::parse(text).map_err(|message| problems.push(path, message)).ok()
}

/// A duration longer than zero.
pub fn positive_span(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Duration> {
    positive(duration::parse(text), path, problems)
}

/// What was read, when it is longer than zero.
pub fn positive(parsed: Result<Duration, String>, path: &FieldPath, problems: &mut Problems) -> Option<Duration> {
    match parsed {
        Ok(Duration::ZERO) => problems.push(path, "must be longer than zero"),
        Ok(span) => return Some(span),
        Err(message) => problems.push(path, message),
    }
    None
}
