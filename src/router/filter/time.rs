//! A span of the day, on the event's `time`.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{Cause, Subject, Verdict};
use crate::api::filter::TimeFilter;
use crate::api::{FieldPath, Problems};

/// `[start, stop)` on the wall clock of a zone; over midnight when stop is before start.
#[derive(Clone, Debug)]
pub struct Span {
    start: Time,
    stop: Time,
    zone: TimeZone,
}

impl Span {
    pub(super) fn compile(raw: &TimeFilter, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let start = clock(&raw.start, &path.field("start"), problems);
        let stop = clock(&raw.stop, &path.field("stop"), problems);
        let zone = match raw.timezone.as_deref() {
            None | Some("") => Some(TimeZone::UTC),
            Some(name) => zone(name, &path.field("timezone"), problems),
        };
        let (start, stop, zone) = (start?, stop?, zone?);
        if start == stop {
            problems.push_help(
                path,
                "start and stop are the same time",
                "leave the time filter out to take the whole day",
            );
            return None;
        }
        Some(Self { start, stop, zone })
    }

    pub(super) fn judge(&self, subject: &Subject<'_>) -> Verdict {
        let Some(time) = self.clock_of(subject) else {
            return Verdict::Error(Cause::MissingTime);
        };
        let within = if self.start < self.stop {
            self.start <= time && time < self.stop
        } else {
            self.start <= time || time < self.stop
        };
        if within { Verdict::Yes } else { Verdict::No }
    }

    pub(super) fn explain(&self, subject: &Subject<'_>) -> String {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        let wanted = format!("from {} until before {} in {zone}", self.start, self.stop);
        match self.clock_of(subject) {
            Some(time) => format!("time is {time} in {zone}, wanted {wanted}"),
            None => format!("time is missing, wanted {wanted}"),
        }
    }

    fn clock_of(&self, subject: &Subject<'_>) -> Option<Time> {
        let instant: Timestamp = subject.event().time()?.parse().ok()?;
        Some(self.zone.to_datetime(instant).time())
    }
}

/// `HH:MM:SS`; a one-digit hour and a fraction of a second are tolerated, as in Argo Events.
fn clock(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<Time> {
    let time = parse_clock(text);
    if time.is_none() {
        problems.push_help(path, format!("{text:?} is no time of day"), "write HH:MM:SS, as in 09:30:00");
    }
    time
}

fn parse_clock(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut parts = whole.split(':');
    let mut part = |lengths: &[usize]| {
        let text = parts.next()?;
        let digits = lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<i8>().ok()).flatten()
    };
    let (hour, minute, second) = (part(&[1, 2])?, part(&[2])?, part(&[2])?);
    if parts.next().is_some() {
        return None;
    }
    let nanosecond = match fraction {
        None => 0,
        Some(digits) => {
            let valid = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            valid.then(|| format!("{digits:0<9}").parse::<i32>().ok()).flatten()?
        }
    };
    Time::new(hour, minute, second, nanosecond).ok()
}

fn zone(name: &str, path: &FieldPath, problems: &mut Problems) -> Option<TimeZone> {
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        let help = "write a name of the IANA database, as in Europe/Berlin; offsets are none";
        problems.push_help(path, format!("{name:?} is no time zone"), help);
    }
    zone
}
