//! A schedule by which held events are forgotten (Argo's `conditionsReset.byTime`).

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::trigger::ResetByTime;
use crate::api::{FieldPath, Problems};

/// Five fields of cron in a time zone.
#[derive(Clone, Debug)]
pub struct Reset {
    cron: Box<croner::Cron>,
    zone: TimeZone,
}

impl Reset {
    /// Reads `byTime`, which stands at `path`. Argo: five fields, no nicknames; UTC when no zone is named.
    pub fn parse(spec: &ResetByTime, path: &FieldPath, problems: &mut Problems) -> Option<Self> {
        let cron = cron(&spec.cron, &path.field("cron"), problems);
        let zone = match spec.timezone.as_deref() {
            None => Some(TimeZone::UTC),
            Some(zone) => zone_of(zone, &path.field("timezone"), problems),
        };
        Some(Self { cron: Box::new(cron?), zone: zone? })
    }

    /// Whether it strikes after `from` and up to `to`.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> bool {
        // The schedule knows full seconds; what strikes within the second of `from` was before it.
        let second = Timestamp::from_second(from.as_second()).unwrap_or(from);
        let next = self.cron.find_next_occurrence(&second.to_zoned(self.zone.clone()), false);
        next.is_ok_and(|next| next.timestamp() > from && next.timestamp() <= to)
    }
}

fn cron(text: &str, path: &FieldPath, problems: &mut Problems) -> Option<croner::Cron> {
    if text.trim_start().starts_with('@') || text.split_whitespace().count() != 5 {
        problems.push(path, "must have five fields: minute, hour, day of month, month, day of week");
        return None;
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let parsed = parser.parse(text);
    let refused = |error: croner::errors::CronError| {
        problems.push(path, format!("{text:?} is no schedule: {}", error.to_string().trim_end_matches('.')));
    };
    parsed.map_err(refused).ok()
}

fn zone_of(name: &str, path: &FieldPath, problems: &mut Problems) -> Option<TimeZone> {
    let zone = TimeZone::get(name);
    if zone.is_err() {
        let help = "an IANA name such as \"Europe/Berlin\"";
        problems.push_help(path, format!("{name:?} is no time zone"), help);
    }
    zone.ok()
}
