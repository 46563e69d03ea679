//! The result as `JUnit` XML, which continuous integration reads.

use std::fmt::Write as _;

use super::Verdict;

/// One document for all files.
pub(super) fn write(results: &[(&str, Vec<Verdict>)]) -> String {
    let failures = |verdicts: &[Verdict]| verdicts.iter().filter(|verdict| !verdict.differences.is_empty()).count();
    let tests: usize = results.iter().map(|(_, verdicts)| verdicts.len()).sum();
    let failed: usize = results.iter().map(|(_, verdicts)| failures(verdicts)).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        writeln!(out, "{text}").unwrap_or_default();
    };
    line(format_args!("<testsuites name=\"penstock\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\">"));
    for (file, verdicts) in results {
        let (name, tests, failed) = (escaped(file), verdicts.len(), failures(verdicts));
        line(format_args!("  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\">"));
        for Verdict { name: case, differences, lines } in verdicts {
            let case = escaped(case);
            let Some(first) = differences.first() else {
                line(format_args!("    <testcase classname=\"{name}\" name=\"{case}\"/>"));
                continue;
            };
            let message = escaped(first.lines().next().unwrap_or_default());
            let text = escaped(&format!("{}\n\nwhat happened:\n{}", differences.join("\n"), lines.join("\n")));
            line(format_args!("    <testcase classname=\"{name}\" name=\"{case}\">"));
            line(format_args!("      <failure message=\"{message}\">{text}</failure>"));
            line(format_args!("    </testcase>"));
        }
        line(format_args!("  </testsuite>"));
    }
    line(format_args!("</testsuites>"));
    out
}

/// Text that can stand anywhere in XML; characters that cannot are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
