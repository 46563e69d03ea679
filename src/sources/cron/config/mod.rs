//! What one schedule is, parsed.

mod schedule;

pub use schedule::{InvalidSchedule, Schedule};

use jiff::tz::{self, TimeZone};

use crate::api::event_source::CronEvent;
use crate::api::metadata::{self, Key, Metadata, Shape};
use crate::api::{FieldPath, Problems, problem};

/// The keys of a Component's metadata.
pub const KEYS: [Key; 4] =
    [("schedule", Shape::Text), ("timezone", Shape::Text), ("catchUp", Shape::Text), ("data", Shape::Any)];

/// One schedule and what it emits.
#[derive(Clone, Debug)]
pub struct Config {
    pub schedule: Schedule,
    pub catch_up: CatchUp,
    /// The data of every event, as JSON text.
    pub data: Option<String>,
}

/// What becomes of ticks that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// Forgotten.
    #[default]
    None,
    /// The newest one is emitted.
    Last,
    /// All are emitted, oldest first, up to a bound.
    All,
}

const CATCH_UP: [(&str, CatchUp); 3] = [("none", CatchUp::None), ("last", CatchUp::Last), ("all", CatchUp::All)];

impl Config {
    /// Reads the settings found at `path`. `None` when a problem was found; all of them are in
    /// `problems`.
    pub fn parse(raw: &CronEvent, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let zone = match &raw.timezone {
            None => Some(TimeZone::UTC),
            Some(name) => time_zone(name, &path.field("timezone"), problems),
        };
        let catch_up = match &raw.catch_up {
            None => Some(CatchUp::default()),
            Some(word) => catch_up(word, &path.field("catchUp"), problems),
        };
        // A wrong zone is no reason not to judge the schedule.
        let at = path.field("schedule");
        let schedule = match Schedule::parse(&raw.schedule, zone.clone().unwrap_or(TimeZone::UTC)) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                match error.help() {
                    Some(help) => problems.push_help(&at, error.to_string(), help),
                    None => problems.push(&at, error.to_string()),
                }
                None
            }
        };
        let data = raw.data.as_ref().map(|data| data.0.to_string());
        zone.and(Some(Self { schedule: schedule?, catch_up: catch_up?, data }))
    }

    /// Reads the metadata of a Component. `None` when a problem was found.
    pub fn from_metadata(metadata: &Metadata, problems: &mut Problems) -> Option<Self> {
        let raw = metadata::read(metadata, &KEYS, problems)?;
        Self::parse(&raw, &metadata::path(), problems)
    }
}

fn catch_up(word: &str, path: &FieldPath, problems: &mut Problems) -> Option<CatchUp> {
    let found = CATCH_UP.iter().find(|(known, _)| *known == word);
    if found.is_none() {
        problems.unknown_value(path, word, &CATCH_UP.map(|(known, _)| known));
    }
    found.map(|(_, catch_up)| *catch_up)
}

/// A zone of the IANA database. The hundreds of names are not listed to those who miss one.
fn time_zone(name: &str, path: &FieldPath, problems: &mut Problems) -> Option<TimeZone> {
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let known: Vec<String> = tz::db().available().map(|zone| zone.to_string()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    // People write the city alone: Berlin, New York.
    let city =
        |zone: &&str| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&name.replace(' ', "_")));
    let near = known.iter().copied().find(city).or_else(|| problem::nearest(name, &known));
    let help = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => "write a name of the IANA time zone database, such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
    };
    problems.push_help(path, format!("unknown time zone {name:?}"), help);
    None
}
