//! When schedules fire, and which ticks are made up for.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::sources::cron::missed::{MAX_CATCH_UP, resume};
use crate::sources::cron::{CatchUp, Schedule};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(text: &str, zone: &str) -> Schedule {
    Schedule::parse(text, TimeZone::get(zone).unwrap()).unwrap()
}

/// The ticks after `from`, as many as are expected, as RFC 3339.
fn check(text: &str, zone: &str, from: &str, expected: &[&str]) {
    let schedule = schedule(text, zone);
    let mut at = time(from);
    for expected in expected {
        let tick = schedule.next_after(at).unwrap();
        assert_eq!(tick.to_string(), *expected, "{text} in {zone} after {at}");
        at = tick;
    }
}

const FROM: &str = "2024-05-01T10:20:30.5Z";

#[test]
fn five_and_six_fields_words_and_intervals_fire_on_time() {
    check("* * * * *", "UTC", FROM, &["2024-05-01T10:21:00Z", "2024-05-01T10:22:00Z"]);
    check("* * * * * *", "UTC", FROM, &["2024-05-01T10:20:31Z", "2024-05-01T10:20:32Z"]);
    check("*/20 * * * * *", "UTC", FROM, &["2024-05-01T10:20:40Z", "2024-05-01T10:21:00Z"]);
    check("0 6 * * MON-FRI", "UTC", FROM, &["2024-05-02T06:00:00Z", "2024-05-03T06:00:00Z", "2024-05-06T06:00:00Z"]);
    check("0 0 1,15 * 1", "UTC", FROM, &["2024-05-06T00:00:00Z", "2024-05-13T00:00:00Z", "2024-05-15T00:00:00Z"]);
    check("0 0 29 2 *", "UTC", FROM, &["2028-02-29T00:00:00Z"]);
    check("0 0 L * *", "UTC", FROM, &["2024-05-31T00:00:00Z", "2024-06-30T00:00:00Z"]);
    check("@hourly", "UTC", FROM, &["2024-05-01T11:00:00Z"]);
    check("@daily", "UTC", FROM, &["2024-05-02T00:00:00Z"]);
    check("@midnight", "Asia/Kolkata", FROM, &["2024-05-01T18:30:00Z"]);
    check("@weekly", "UTC", FROM, &["2024-05-05T00:00:00Z"]);
    check("@monthly", "UTC", FROM, &["2024-06-01T00:00:00Z"]);
    check("@yearly", "UTC", FROM, &["2025-01-01T00:00:00Z"]);
    check("@annually", "UTC", FROM, &["2025-01-01T00:00:00Z"]);
    check("@every 5s", "UTC", FROM, &["2024-05-01T10:20:35Z", "2024-05-01T10:20:40Z"]);
    check("@every 1.5s", "UTC", "1970-01-01T00:00:00Z", &["1970-01-01T00:00:01.5Z", "1970-01-01T00:00:03Z"]);
    check("@every 1h30m", "UTC", FROM, &["2024-05-01T10:30:00Z", "2024-05-01T12:00:00Z"]);
    check("@every PT24H", "Europe/Berlin", FROM, &["2024-05-02T00:00:00Z"]);
}

#[test]
fn a_time_of_day_is_that_of_the_zone() {
    check("0 6 * * *", "Europe/Berlin", "2024-01-10T00:00:00Z", &["2024-01-10T05:00:00Z"]);
    check("0 6 * * *", "Europe/Berlin", "2024-07-10T00:00:00Z", &["2024-07-10T04:00:00Z"]);
    check("30 23 * * *", "Pacific/Auckland", "2024-01-10T00:00:00Z", &["2024-01-10T10:30:00Z"]);
}

/// Berlin skips 02:00 to 03:00 on 31 March 2024, at 01:00 UTC.
#[test]
fn a_fixed_time_in_the_gap_fires_after_it_and_a_recurring_one_skips_it() {
    let eve = "2024-03-30T12:00:00Z";
    check("30 2 * * *", "Europe/Berlin", eve, &["2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"]);
    check("0 3 * * *", "Europe/Berlin", eve, &["2024-03-31T01:00:00Z", "2024-04-01T01:00:00Z"]);
    let before = "2024-03-31T00:00:00Z";
    check("*/30 * * * *", "Europe/Berlin", before, &["2024-03-31T00:30:00Z", "2024-03-31T01:00:00Z"]);
    check("@every 1h", "Europe/Berlin", before, &["2024-03-31T01:00:00Z", "2024-03-31T02:00:00Z"]);
}

/// Berlin has 02:00 to 03:00 twice on 27 October 2024, from 00:00 UTC and from 01:00 UTC.
#[test]
fn a_fixed_time_in_the_overlap_fires_once_and_a_recurring_one_twice() {
    let eve = "2024-10-26T12:00:00Z";
    check("30 2 * * *", "Europe/Berlin", eve, &["2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"]);
    let before = "2024-10-27T00:10:00Z";
    let hours = ["2024-10-27T00:30:00Z", "2024-10-27T01:00:00Z", "2024-10-27T01:30:00Z", "2024-10-27T02:00:00Z"];
    check("*/30 * * * *", "Europe/Berlin", before, &hours);
}

#[test]
fn what_is_no_schedule_is_refused() {
    let check = |text: &str, expected: &str| {
        let error = Schedule::parse(text, TimeZone::UTC).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{text:?}: {error}");
    };
    check("", "it has 0 fields");
    check("* * * *", "it has 4 fields");
    check("0 0 0 1 1 * 2030", "it has 7 fields");
    check("60 * * * *", "Component error");
    check("a * * * *", "Pattern contains illegal characters");
    check("0 0 30 2 *", "it never fires");
    check("@reboot", "unknown word \"@reboot\"");
    check("@daily now", "unknown word \"@daily\"");
    check("@every", "\"\" is not a duration");
    check("@every day", "\"day\" is not a duration");
    check("@every 999ms", "an interval of 999ms is too short");
    check("@every 0", "an interval of 0ns is too short");
    check("CRON_TZ=Europe/Berlin 0 6 * * *", "it carries its time zone");
}

#[test]
fn missed_ticks_are_left_out_or_made_up_for() {
    let (from, now) = ("2024-05-01T10:00:00Z", "2024-05-01T10:03:30Z");
    let check = |mode, from: &str, now: &str, next: &str, skipped: Option<(&str, &str)>| {
        let schedule = schedule("* * * * *", "UTC");
        let resume = resume(&schedule, mode, time(from), time(now));
        assert_eq!(schedule.next_after(resume.from).unwrap().to_string(), next, "{mode:?} {from} {now}");
        assert_eq!(resume.skipped, skipped.map(|(first, last)| (time(first), time(last))), "{mode:?} {from} {now}");
        assert!(resume.from >= time(from));
    };
    let (first, second, third) = ("2024-05-01T10:01:00Z", "2024-05-01T10:02:00Z", "2024-05-01T10:03:00Z");
    check(CatchUp::None, from, now, "2024-05-01T10:04:00Z", Some((first, third)));
    check(CatchUp::Last, from, now, third, Some((first, second)));
    check(CatchUp::All, from, now, first, None);
    // A tick of this very moment is due, not yet to come.
    check(CatchUp::None, from, third, "2024-05-01T10:04:00Z", Some((first, third)));
    check(CatchUp::Last, from, first, first, None);
    for mode in [CatchUp::None, CatchUp::Last, CatchUp::All] {
        check(mode, from, "2024-05-01T10:00:59Z", first, None);
        check(mode, now, from, "2024-05-01T10:04:00Z", None);
    }
    // Ten years of minutes, of which the newest are kept.
    let now = "2034-05-01T10:00:30Z";
    let oldest = "2034-04-30T17:21:00Z";
    check(CatchUp::All, from, now, oldest, Some((first, "2034-04-30T17:20:00Z")));
    assert_eq!(time(now).duration_since(time(oldest)).as_mins() + 1, i64::try_from(MAX_CATCH_UP).unwrap());
}

/// Any moment, and more often one near a change of Berlin's clocks.
fn moments() -> impl Strategy<Value = Timestamp> {
    const HOURS: i64 = 3 * 3600 * 1_000_000;
    let near = |text: &str| {
        let change = time(text).as_microsecond();
        change - HOURS..change + HOURS
    };
    prop_oneof![
        near("2024-03-31T01:00:00Z"),
        near("2024-10-27T01:00:00Z"),
        1_600_000_000_000_000..1_800_000_000_000_000_i64
    ]
    .prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
}

proptest! {
    /// Looking forward and looking back see the same ticks, across every change of clocks.
    #[test]
    fn forward_and_backward_agree(at in moments()) {
        for text in ["* * * * *", "30 2 * * *", "*/7 1-3 * * *", "0 0 * * 0", "@every 7s", "*/10 * * * * *"] {
            let schedule = schedule(text, "Europe/Berlin");
            let next = schedule.next_after(at).unwrap();
            prop_assert!(next > at);
            let beyond = next.checked_add(SignedDuration::from_micros(1)).unwrap();
            prop_assert_eq!(schedule.last_before(beyond), Some(next), "{} after {}", text, at);
            let last = schedule.last_before(next).unwrap();
            prop_assert!(last <= at, "{}: {} lies between {} and {}", text, last, at, next);
            prop_assert_eq!(schedule.next_after(last), Some(next), "{} after {}", text, last);
        }
    }
}
