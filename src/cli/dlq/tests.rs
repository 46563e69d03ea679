use super::*;
use crate::event::{Draft, Event};
use crate::flow::letter;

fn letter() -> Event {
    Draft::new("7", "/shop", "order")
        .with(letter::REASON, "attempts")
        .with(letter::TRIGGER, "default/shop")
        .with(letter::SUBSCRIBER, "ship")
        .with(letter::LAST, "2026-01-05T12:00:00Z")
        .build()
        .unwrap()
}

#[test]
fn a_filter_takes_what_fits_everything_that_it_says() {
    let check = |change: fn(&mut Filter), taken: bool| {
        let mut filter = Filter { ids: vec!["6".to_owned(), "7".to_owned()], ..Filter::default() };
        filter.trigger = Some("shop".to_owned());
        change(&mut filter);
        assert_eq!(filter.takes(&letter()), taken, "{filter:?}");
    };
    let time = |text: &str| Some(text.parse().unwrap());
    check(|_| {}, true);
    check(|filter| filter.trigger = Some("default/shop".to_owned()), true);
    check(|filter| filter.trigger = Some("other/shop".to_owned()), false);
    check(|filter| filter.ids = vec!["8".to_owned()], false);
    check(|filter| filter.ids = Vec::new(), true);
    check(|filter| filter.subscriber = Some("other".to_owned()), false);
    check(|filter| filter.reason = Some("attempts".to_owned()), true);
    check(|filter| filter.reason = Some("rejected".to_owned()), false);
    check(|filter| filter.ty = Some("order".to_owned()), true);
    check(|filter| filter.ty = Some("payment".to_owned()), false);
    let mut filter = Filter { since: time("2026-01-05T12:00:00Z"), ..Filter::default() };
    assert!(filter.takes(&letter()));
    filter.since = time("2026-01-05T12:00:01Z");
    assert!(!filter.takes(&letter()));
    let undated = letter().draft().without(letter::LAST).build().unwrap();
    assert!(!filter.takes(&undated), "nobody knows when it was given up");
}

#[test]
fn what_an_event_holds_does_not_reach_the_terminal_as_it_is() {
    let event = letter().draft().with("id", "a\u{1b}[2Jb\nc").build().unwrap();
    let found = Found::new("default/default", "t-dlq", "1-0".to_owned(), &event, Fate::Kept);
    let line = line(&found);
    assert!(line.contains("2026-01-05T12:00:00Z  a [2Jb c  order  default/shop/ship  attempts"), "{line}");
}
