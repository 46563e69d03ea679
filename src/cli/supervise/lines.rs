//! What the children print, as lines of this process's log.

use std::io::Write as _;

use serde_json::{Map, Value as Json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

use crate::cli::terminal::LogLines;

/// A longer line is cut into several.
const MAX_LINE: u64 = 64 << 10;

/// daprd's words, as an error, for a stream that its client has closed: one for each stream at every stop.
const CLOSED_STREAM: &str = "Failed to receive pubsub message: rpc error: code = Canceled desc = context canceled";

/// How the lines of a child are shown.
#[derive(Clone, Debug)]
pub struct Look {
    pub process: String,
    /// The width of the longest name.
    pub width: usize,
    /// Lines are for a machine.
    pub json: bool,
}

/// Copies lines until the child closes its end.
pub async fn copy(from: impl AsyncRead + Unpin, look: Look) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut from).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                if text.contains(CLOSED_STREAM) {
                    continue;
                }
                let shown = look.show(text.trim_end());
                // Nobody is left to tell when standard error is gone.
                LogLines.write_all(format!("{shown}\n").as_bytes()).unwrap_or_default();
            }
        }
    }
}

impl Look {
    fn show(&self, line: &str) -> String {
        let object = serde_json::from_str::<Map<String, Json>>(line).ok();
        match (object, self.json) {
            (Some(members), true) => {
                let mut shown = Map::from_iter([("process".to_owned(), self.process.clone().into())]);
                shown.extend(members);
                Json::from(shown).to_string()
            }
            (None, true) => serde_json::json!({"process": self.process, "message": line}).to_string(),
            (Some(members), false) => self.prefixed(&plain(&members)),
            (None, false) => self.prefixed(line),
        }
    }

    fn prefixed(&self, line: &str) -> String {
        format!("{:width$} | {line}", self.process, width = self.width)
    }
}

/// A line of daprd's, as our own look.
fn plain(members: &Map<String, Json>) -> String {
    let text = |name: &str| members.get(name).and_then(Json::as_str).unwrap_or_default();
    let level = match text("level") {
        "warning" => "WARN".to_owned(),
        "fatal" => "ERROR".to_owned(),
        other => other.to_uppercase(),
    };
    format!("{} {level:>5} {} ({})", text("time"), text("msg"), text("scope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_it_is() {
        let daprd = r#"{"app_id":"penstock","level":"warning","msg":"no \"app\"","scope":"dapr.runtime","time":"T"}"#;
        let look = Look { process: "daprd".to_owned(), width: 9, json: false };
        assert_eq!(look.show(daprd), "daprd     | T  WARN no \"app\" (dapr.runtime)");
        assert_eq!(look.show("panic: x"), "daprd     | panic: x");
        let look = Look { json: true, ..look };
        assert_eq!(look.show(r#"{"level":"info","msg":"x"}"#), r#"{"process":"daprd","level":"info","msg":"x"}"#);
        assert_eq!(look.show("panic: x"), r#"{"process":"daprd","message":"panic: x"}"#);
    }
}
