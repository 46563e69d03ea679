//! When a schedule fires. Pure: the time is always given.

use std::fmt;
use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::{duration, problem};

/// The shortest interval. What must run more often is no schedule.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The words for common schedules, as in vixie-cron, Go and Dapr.
const WORDS: [(&str, &str); 8] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@every", ""),
];

/// A schedule in its time zone.
///
/// - Five fields: minute, hour, day of month, month, day of week; six have seconds first. Where
///   both days are restricted, either will do, as in vixie-cron. `L`, `W` and `#` are known.
/// - `@hourly` and its like.
/// - `@every 90s`: at multiples of the interval since the Unix epoch (1970-01-01T00:00:00Z), and so
///   at the same times after a restart and on every replica.
///
/// Where clocks are set forward, a fixed time of day that does not exist fires at the first moment
/// after the gap, and one that recurs more often skips it. Where they are set back, a fixed time
/// fires once, the first time; one that recurs more often fires in both hours.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    zone: TimeZone,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Fields(Box<croner::Cron>),
    /// Microseconds.
    Interval(i64),
}

/// Why a schedule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error("it has {0} fields")]
    Fields(usize),
    #[error("unknown word {0:?}")]
    Word(String),
    #[error("{0}")]
    Interval(String),
    #[error("an interval of {0:?} is too short")]
    TooShort(Duration),
    #[error("{0}")]
    Syntax(String),
    #[error("it never fires")]
    Never,
    #[error("it carries its time zone")]
    Zone,
}

impl InvalidSchedule {
    /// What to write instead.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Fields(_) => {
                "write minute, hour, day of month, month and day of week, with seconds before them if need be"
                    .to_owned()
            }
            Self::Word(word) => problem::alternatives(word, &WORDS.map(|(known, _)| known)),
            Self::TooShort(_) => format!("the shortest is {MIN_INTERVAL:?}"),
            Self::Zone => "write it in the field timezone".to_owned(),
            Self::Interval(_) | Self::Syntax(_) | Self::Never => return None,
        })
    }
}

impl Schedule {
    /// # Errors
    /// When the text is no schedule, or one that never fires (30 February).
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, InvalidSchedule> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let rule = match text.split_once(' ').unwrap_or((&text, "")) {
            ("@every", interval) => Self::interval(interval)?,
            (word, "") if word.starts_with('@') => {
                let known = WORDS.iter().find(|(known, _)| *known == word);
                Self::fields(known.ok_or_else(|| InvalidSchedule::Word(word.to_owned()))?.1)?
            }
            (word, _) if word.starts_with('@') => return Err(InvalidSchedule::Word(word.to_owned())),
            // Go's form.
            (word, _) if word.starts_with("TZ=") || word.starts_with("CRON_TZ=") => return Err(InvalidSchedule::Zone),
            _ => Self::fields(&text)?,
        };
        let schedule = Self { text, zone, rule };
        // Fields repeat: what fires at all fires after the epoch.
        schedule.next_after(Timestamp::UNIX_EPOCH).ok_or(InvalidSchedule::Never)?;
        Ok(schedule)
    }

    fn interval(text: &str) -> Result<Rule, InvalidSchedule> {
        let interval = duration::parse(text).map_err(InvalidSchedule::Interval)?;
        if interval < MIN_INTERVAL {
            return Err(InvalidSchedule::TooShort(interval));
        }
        let micros = i64::try_from(interval.as_micros()).map_err(|_| InvalidSchedule::Never)?;
        Ok(Rule::Interval(micros))
    }

    fn fields(text: &str) -> Result<Rule, InvalidSchedule> {
        let count = text.split(' ').filter(|field| !field.is_empty()).count();
        if !(5..=6).contains(&count) {
            return Err(InvalidSchedule::Fields(count));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| InvalidSchedule::Syntax(error.to_string()))?;
        Ok(Rule::Fields(Box::new(cron)))
    }

    /// The first tick after `time`.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let next = match &self.rule {
            Rule::Interval(micros) => multiple(time.as_microsecond().div_euclid(*micros) + 1, *micros),
            Rule::Fields(cron) => {
                let second = Timestamp::from_second(time.as_second()).ok()?;
                cron.find_next_occurrence(&second.to_zoned(self.zone.clone()), false).ok().map(|tick| tick.timestamp())
            }
        };
        next.filter(|tick| *tick > time)
    }

    /// The last tick before `time`.
    pub fn last_before(&self, time: Timestamp) -> Option<Timestamp> {
        let last = match &self.rule {
            Rule::Interval(micros) => multiple((time.as_microsecond() - 1).div_euclid(*micros), *micros),
            Rule::Fields(cron) => {
                // Up to the next full second, so that a tick in the second of `time` counts.
                let second = Timestamp::from_second(time.as_second() + i64::from(time.subsec_nanosecond() > 0)).ok()?;
                let start = second.to_zoned(self.zone.clone());
                cron.find_previous_occurrence(&start, false).ok().map(|tick| tick.timestamp())
            }
        };
        last.filter(|tick| *tick < time)
    }
}

fn multiple(count: i64, micros: i64) -> Option<Timestamp> {
    count.checked_mul(micros).and_then(|micros| Timestamp::from_microsecond(micros).ok())
}

/// The schedule and its zone; equal texts fire at equal times.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.zone.iana_name().unwrap_or("UTC"), self.text)
    }
}
