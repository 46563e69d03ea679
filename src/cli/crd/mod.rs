//! `penstock crd`: the custom resource definitions, as YAML for `kubectl apply`.

use std::io::{self, Write};

use serde_json::Value as Json;

use crate::api::crd;

/// Prints all definitions as one stream of YAML documents.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(out: &mut dyn Write) -> io::Result<()> {
    for definition in crd::definitions() {
        write_document(definition, out)?;
    }
    Ok(())
}

/// Prints one YAML document, after the line that separates it from the one before.
pub(super) fn write_document(value: &Json, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "---")?;
    write_node(value, 0, false, out)
}

/// A mapping or sequence in block style. Each line begins with `indent` spaces, but for the first
/// one when it goes on with a line that has begun.
fn write_node(value: &Json, indent: usize, begun: bool, out: &mut dyn Write) -> io::Result<()> {
    let spaces = |index: usize| if begun && index == 0 { 0 } else { indent };
    match value {
        Json::Object(members) if !members.is_empty() => {
            for (index, (name, value)) in members.iter().enumerate() {
                write!(out, "{:1$}{2}:", "", spaces(index), scalar(name))?;
                write_member(value, indent, out)?;
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                write!(out, "{:1$}- ", "", spaces(index))?;
                write_node(item, indent + 2, true, out)?;
            }
        }
        other => writeln!(out, "{}", plain(other))?,
    }
    Ok(())
}

/// What follows a key.
fn write_member(value: &Json, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    match value {
        Json::Object(members) if members.is_empty() => writeln!(out, " {{}}"),
        Json::Array(items) if items.is_empty() => writeln!(out, " []"),
        Json::Object(_) | Json::Array(_) => {
            writeln!(out)?;
            write_node(value, indent + 2, false, out)
        }
        other => writeln!(out, " {}", plain(other)),
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Text as a plain scalar where no reader could take it for anything else, quoted as JSON otherwise.
fn scalar(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(word)
        && !reserved.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Json::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests;
