//! What the router's end asks the component's end beside events.
//!
//! It is asked in the metadata of the one call that daprd answers with what the component says: that for a value of
//! a state store, whose Component must be of the same bus. The value is an [`Answer`](crate::proto::penstock::Answer); a
//! component that does not know the question has no such value, and answers nothing.

use std::collections::BTreeMap;

use super::ask::GROUP;
use crate::flow::{Group, Position, Topic};
use crate::proto::penstock::Spot;

/// The word of the question.
const ASK: &str = "penstockAsk";
const TOPIC: &str = "penstockTopic";
/// A position.
const AFTER: &str = "penstockAfter";
/// The most entries of a list.
const LIMIT: &str = "penstockLimit";
/// The number of the rest of a list.
const REST: &str = "penstockRest";

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// What the bus can do.
    About,
    /// Where the topic ends.
    End(Topic),
    /// Where a new reader begins.
    Begin(Topic),
    /// How many events stand behind a position.
    Behind(Topic, Option<Position>),
    /// How many events the group has not settled.
    Lag(Topic, Group),
    /// The values whose keys begin with that of the call, at most so many.
    Scan(usize),
    /// What did not fit into the answer before.
    Rest(u64),
}

impl Question {
    /// Writes the metadata of the call.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::from([(ASK.to_owned(), self.word().to_owned())]);
        let mut set = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        match self {
            Self::About => {}
            Self::End(topic) | Self::Begin(topic) => drop(set(TOPIC, topic.to_string())),
            Self::Behind(topic, after) => {
                set(TOPIC, topic.to_string());
                if let Some(after) = after {
                    set(AFTER, after.to_string());
                }
            }
            Self::Lag(topic, group) => {
                set(TOPIC, topic.to_string());
                set(GROUP, group.to_string());
            }
            Self::Scan(limit) => drop(set(LIMIT, limit.to_string())),
            Self::Rest(number) => drop(set(REST, number.to_string())),
        }
        metadata
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::About => "about",
            Self::End(_) => "end",
            Self::Begin(_) => "begin",
            Self::Behind(..) => "behind",
            Self::Lag(..) => "lag",
            Self::Scan(_) => "scan",
            Self::Rest(_) => "rest",
        }
    }

    /// Reads the metadata of a call; `None` when it asks for a value.
    ///
    /// # Errors
    /// What is wrong with which key.
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let Some(word) = metadata.get(ASK) else { return Ok(None) };
        let text = |key: &str| metadata.get(key).map(String::as_str).ok_or_else(|| format!("{key}: required"));
        let number = |key: &str| {
            let text = text(key)?;
            text.parse::<u64>().map_err(|_| format!("{key}: {text:?} is no number"))
        };
        let topic = || Topic::new(text(TOPIC)?).map_err(|error| format!("{TOPIC}: {error}"));
        let question = match word.as_str() {
            "about" => Self::About,
            "end" => Self::End(topic()?),
            "begin" => Self::Begin(topic()?),
            "behind" => {
                let after = metadata
                    .get(AFTER)
                    .map(|text| Position::parse(text).ok_or_else(|| format!("{AFTER}: {text:?} is no position")));
                Self::Behind(topic()?, after.transpose()?)
            }
            "lag" => Self::Lag(topic()?, Group::new(text(GROUP)?).map_err(|error| format!("{GROUP}: {error}"))?),
            "scan" => Self::Scan(usize::try_from(number(LIMIT)?).unwrap_or(usize::MAX)),
            "rest" => Self::Rest(number(REST)?),
            other => return Err(format!("{ASK}: {other:?} is no question that this component knows")),
        };
        Ok(Some(question))
    }
}

/// A position as it is sent.
pub fn spot(position: Position) -> Spot {
    Spot { major: position.major, minor: position.minor }
}

/// A position as it was sent.
pub fn at(spot: &Spot) -> Position {
    Position { major: spot.major, minor: spot.minor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_comes_back_from_its_metadata() {
        let topic = || Topic::new("t").unwrap();
        let after = Some(Position { major: 7, minor: 8 });
        for question in [
            Question::About,
            Question::End(topic()),
            Question::Begin(topic()),
            Question::Behind(topic(), None),
            Question::Behind(topic(), after),
            Question::Lag(topic(), Group::new("g").unwrap()),
            Question::Scan(usize::MAX),
            Question::Rest(u64::MAX),
        ] {
            assert_eq!(Question::read(&question.metadata()).unwrap(), Some(question));
        }
        assert_eq!(Question::read(&BTreeMap::new()).unwrap(), None);
    }

    #[test]
    fn a_question_that_cannot_be_read_names_its_key() {
        let check = |pairs: &[(&str, &str)], expected: &str| {
            let metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let error = Question::read(&metadata).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        };
        check(&[(ASK, "why")], "penstockAsk: \"why\" is no question");
        check(&[(ASK, "end")], "penstockTopic: required");
        check(&[(ASK, "end"), (TOPIC, "a b")], "penstockTopic: ");
        check(&[(ASK, "behind"), (TOPIC, "t"), (AFTER, "7")], "penstockAfter: \"7\" is no position");
        check(&[(ASK, "scan"), (LIMIT, "all")], "penstockLimit: \"all\" is no number");
    }
}
