//! Sizes as Kubernetes writes them: `64Ki`, `10Gi`, `5M`, `1048576`.

use super::any::IntOrText;

/// Reads a size in bytes.
///
/// # Errors
/// What is wrong, and what a size looks like.
pub fn parse(value: &IntOrText) -> Result<u64, String> {
    let text = match value {
        IntOrText::Int(number) => number.to_string(),
        IntOrText::Text(text) => text.clone(),
    };
    bytes(&text).ok_or_else(|| format!("{text:?} is not a size: write it like \"64Ki\", \"10Gi\" or \"1048576\""))
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match &text[digits..] {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}
