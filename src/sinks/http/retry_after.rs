//! The `Retry-After` header (RFC 9110, section 10.2.3).

use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// No pause is taken to be longer than this, so that sums with it stay in range; the caller's own
/// cap is far below.
const MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long the other side asks to wait: a number of seconds, or a date that is compared with
/// `now`. A date in the past is no wait. `None` when it is neither.
pub(super) fn parse(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number can have is a long time too.
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let wait = date(text)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO).min(MAX))
}

/// The three forms of an HTTP date; a recipient must take them all (RFC 9110, section 5.6.7).
fn date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let civil = FORMS.iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_all_forms_of_dates_are_read() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        let check = |text: &str, seconds: Option<u64>| {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(parse(&value, now), seconds.map(Duration::from_secs), "{text:?}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("99999999999999999999999999", Some(MAX.as_secs()));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(7));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(7));
        check("Sun Nov  6 08:49:37 1994", Some(7));
        check("Sun, 06 Nov 1994 08:49:29 GMT", Some(0));
        check("Fri, 06 Nov 2099 08:49:29 GMT", Some(MAX.as_secs()));
        for bad in ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994", "Mon, 06 Nov 1994 08:49:37 GMT"] {
            check(bad, None);
        }
    }
}
