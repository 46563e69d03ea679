mod run;
mod schedule;

use serde_json::json;

use super::{CatchUp, Config};
use crate::api::event_source::CronEvent;
use crate::api::{FieldPath, Problems};

fn parse(yaml: serde_json::Value) -> Result<Config, String> {
    let raw: CronEvent = serde_json::from_value(yaml).unwrap();
    let mut problems = Problems::new();
    let config = Config::parse(&raw, &FieldPath::root().field("tick"), &mut problems);
    assert_eq!(config.is_some(), problems.is_empty(), "{problems}");
    config.ok_or_else(|| problems.to_string())
}

#[test]
fn settings_are_read_with_their_defaults() {
    let config = parse(json!({"schedule": "0 6 * * *"})).unwrap();
    assert_eq!(config.schedule.to_string(), "UTC 0 6 * * *");
    assert_eq!((config.catch_up, config.data), (CatchUp::None, None));

    let config = parse(json!({
        "schedule": " @daily ", "timezone": "Europe/Berlin", "catchUp": "all", "data": {"z": [1, null], "a": "x"}
    }));
    let config = config.unwrap();
    assert_eq!(config.schedule.to_string(), "Europe/Berlin @daily");
    assert_eq!(config.catch_up, CatchUp::All);
    assert_eq!(config.data.as_deref(), Some(r#"{"z":[1,null],"a":"x"}"#));

    assert_eq!(parse(json!({"schedule": "@daily", "catchUp": "last"})).unwrap().catch_up, CatchUp::Last);
    assert_eq!(parse(json!({"schedule": "@daily", "data": 7})).unwrap().data.as_deref(), Some("7"));
}

#[test]
fn every_mistake_is_named_with_its_field_and_what_to_write() {
    let check = |yaml, expected: &str| assert_eq!(parse(yaml).unwrap_err(), expected);
    check(
        json!({"schedule": "* * *", "timezone": "Europe/Berln", "catchUp": "newest"}),
        "tick.timezone: unknown time zone \"Europe/Berln\" (did you mean \"Europe/Berlin\"?)\n\
         tick.catchUp: unknown value \"newest\" (known: none, last, all)\n\
         tick.schedule: it has 3 fields (write minute, hour, day of month, month and day of week, with seconds \
         before them if need be)",
    );
    check(
        json!({"schedule": "@daily", "timezone": "new york"}),
        "tick.timezone: unknown time zone \"new york\" (did you mean \"America/New_York\"?)",
    );
    check(
        json!({"schedule": "@daily", "timezone": "?"}),
        "tick.timezone: unknown time zone \"?\" (write a name of the IANA time zone database, such as \
         \"Europe/Berlin\" or \"UTC\")",
    );
    check(
        json!({"schedule": "@dayly"}),
        "tick.schedule: unknown word \"@dayly\" (did you mean \"@daily\"? known: @hourly, @daily, @midnight, @weekly, \
         @monthly, @yearly, @annually, @every)",
    );
}
