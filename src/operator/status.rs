//! Conditions: one for each concern of an object, and what they come to.

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::api::status::Condition;

/// Whether it is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Why it is so. The list is closed: people and programs compare these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Valid,
    Invalid,
    /// Right, but this version cannot run it.
    NotSupported,
    Found,
    NotFound,
    /// A bus that does not let the namespace in.
    NotAllowed,
    /// A bus that is not right itself.
    BusInvalid,
    Resolved,
    Unresolved,
    Available,
    /// Applied, and not running yet.
    Progressing,
    /// The cluster lacks a kind of object, such as Dapr's.
    KindMissing,
    /// The API server refused an object, or could not be asked.
    ApplyFailed,
    /// Nothing is done before another condition holds.
    Waiting,
    /// A bus that is to go and cannot.
    InUse,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "Valid",
            Self::Invalid => "Invalid",
            Self::NotSupported => "NotSupported",
            Self::Found => "Found",
            Self::NotFound => "NotFound",
            Self::NotAllowed => "NotAllowed",
            Self::BusInvalid => "BusInvalid",
            Self::Resolved => "Resolved",
            Self::Unresolved => "Unresolved",
            Self::Available => "Available",
            Self::Progressing => "Progressing",
            Self::KindMissing => "KindMissing",
            Self::ApplyFailed => "ApplyFailed",
            Self::Waiting => "Waiting",
            Self::InUse => "InUse",
        }
    }
}

/// The concerns, in the order in which they come to hold.
pub const ACCEPTED: &str = "Accepted";
pub const BUS_READY: &str = "BusReady";
pub const SINKS_RESOLVED: &str = "SinksResolved";
pub const DEPLOYED: &str = "Deployed";
/// Whether a bus that is to go is used by nobody any more.
pub const RELEASED: &str = "Released";
pub const READY: &str = "Ready";

/// One concern, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub concern: &'static str,
    pub truth: Truth,
    pub reason: Reason,
    pub message: String,
}

impl Verdict {
    pub fn holds(concern: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { concern, truth: Truth::True, reason, message: message.into() }
    }

    pub fn fails(concern: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { concern, truth: Truth::False, reason, message: message.into() }
    }

    pub fn unknown(concern: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { concern, truth: Truth::Unknown, reason, message: message.into() }
    }

    /// What is to be said beside it, a line each.
    pub fn add(&mut self, lines: Vec<String>) {
        for line in lines {
            if !self.message.is_empty() {
                self.message.push('\n');
            }
            self.message.push_str(&line);
        }
    }
}

/// The longest message: the API server takes 32 KiB, and nobody reads more than a page.
const LONGEST_MESSAGE: usize = 4096;

/// The conditions of an object, `Ready` among them: it holds when all hold, and says what the first of the
/// others says. One whose truth is as it was keeps its time. Beside them, those that are news.
pub fn conditions(
    before: &Json,
    generation: Option<i64>,
    verdicts: Vec<Verdict>,
    now: Timestamp,
) -> (Vec<Condition>, Vec<Verdict>) {
    let open = verdicts.iter().find(|verdict| verdict.truth != Truth::True);
    let ready = match open {
        None => Verdict::holds(READY, Reason::Available, ""),
        Some(open) => Verdict { concern: READY, ..open.clone() },
    };
    let (mut conditions, mut news) = (Vec::new(), Vec::new());
    for mut verdict in verdicts.into_iter().chain([ready]) {
        shorten(&mut verdict.message);
        let known = before.as_array().into_iter().flatten().find(|known| known["type"] == verdict.concern);
        let same_truth = known.filter(|known| known["status"] == verdict.truth.as_str());
        let time = same_truth.and_then(|known| known["lastTransitionTime"].as_str()).map(str::to_owned);
        conditions.push(Condition {
            kind: verdict.concern.to_owned(),
            status: verdict.truth.as_str().to_owned(),
            reason: verdict.reason.as_str().to_owned(),
            message: verdict.message.clone(),
            observed_generation: generation,
            last_transition_time: Some(time.unwrap_or_else(|| seconds(now))),
        });
        if same_truth.is_none_or(|known| known["reason"] != verdict.reason.as_str()) {
            news.push(verdict);
        }
    }
    (conditions, news)
}

/// As Kubernetes writes times.
fn seconds(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn shorten(message: &mut String) {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ready_says_what_is_open_and_only_what_changes_is_news() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let verdicts = || {
            vec![
                Verdict::holds(ACCEPTED, Reason::Valid, ""),
                Verdict::fails(BUS_READY, Reason::NotFound, "there is no EventBus shop"),
                Verdict::unknown(DEPLOYED, Reason::Waiting, ""),
            ]
        };
        let (first, news) = conditions(&Json::Null, Some(1), verdicts(), at("2026-01-01T00:00:00Z"));
        assert_eq!(news.len(), 4);
        let ready = first.last().unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "NotFound"));
        assert_eq!(ready.message, "there is no EventBus shop");
        let (second, news) = conditions(&json!(first), Some(1), verdicts(), at("2026-01-02T00:00:00Z"));
        assert_eq!((second, news), (first.clone(), Vec::new()));
        let well = vec![Verdict::holds(ACCEPTED, Reason::Valid, ""), Verdict::holds(BUS_READY, Reason::Found, "")];
        let (third, news) = conditions(&json!(first), Some(2), well, at("2026-01-02T00:00:00.5Z"));
        let times: Vec<&str> = third.iter().map(|known| known.last_transition_time.as_deref().unwrap()).collect();
        assert_eq!(times, ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"]);
        assert_eq!(news.iter().map(|verdict| verdict.concern).collect::<Vec<_>>(), [BUS_READY, READY]);
    }
}
