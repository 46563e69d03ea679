use super::*;
use crate::event::{Data, Draft, Event};

const DATA: &str = r#"{"total": 42.5, "count": 3, "country": "de", "none": null, "big": 12345678901,
    "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 20}], "tags": ["x", "y"]}"#;

fn shop() -> Event {
    let draft = Draft::new("42", "/shop/orders", "com.shop.order").with("subject", "orders/42").with("priority", 3);
    draft.with("urgent", true).with("datacontenttype", "application/json").data(Data::Text(DATA)).build().unwrap()
}

fn compile(text: &str) -> Result<Cel, String> {
    let mut problems = Problems::new();
    Cel::compile(text, &FieldPath::root().field("cel"), &mut problems).ok_or_else(|| problems.to_string())
}

fn judge(text: &str, event: &Event) -> Verdict {
    compile(text).unwrap_or_else(|problem| panic!("{problem}")).judge(&Subject::new(event))
}

#[test]
fn attributes_and_data_are_looked_at_together() {
    for (text, expected) in [
        ("event.type == 'com.shop.order' && event.data.total > 40", true),
        ("event.type.startsWith('com.shop.') && event.source.endsWith('orders')", true),
        ("event.data.total > 100", false),
        ("event.data.count == 3 && event.data.count == 3.0", true),
        ("event.priority >= 3 && event.urgent", true),
        ("event.priority + 1 == 4 && event.priority % 2 == 1", true),
        ("int(event.data.count) % 2 == 1", true),
        ("has(event.data.country) && !has(event.data.city) && !has(event.time)", true),
        ("event.data.country in ['de', 'fr']", true),
        ("'x' in event.data.tags && size(event.data.tags) == 2 && event.data.tags.size() == 2", true),
        ("event.data.items[1].sku == 'b' && event.data['count'] == 3", true),
        ("event.data.none == null", true),
        ("event.data.items.exists(i, i.sku == 'b' && i.n > 10)", true),
        ("event.data.items.all(i, i.n > 10)", false),
        ("event.data.items.exists_one(i, i.n > 10)", true),
        ("event.data.items.filter(i, i.n > 10).size() == 1", true),
        ("event.data.items[0].n > 5 ? false : event.subject.contains('42')", true),
        ("event.data.country + '!' == 'de!'", true),
        ("event.specversion == '1.0' && event.id == '42'", true),
        ("true", true),
    ] {
        assert_eq!(judge(text, &shop()), if expected { Verdict::Yes } else { Verdict::No }, "{text}");
    }
}

#[test]
fn an_error_is_neither_yes_nor_no_unless_the_other_part_decides() {
    for (text, cause) in [
        ("event.data.city == 'Rome'", Cause::MissingValue),
        ("event.tenant == 'a'", Cause::MissingValue),
        ("event.data.items[7].n == 1", Cause::MissingValue),
        ("event.data.total > 'a'", Cause::WrongType),
        ("!event.data.total", Cause::WrongType),
        ("event.data.total", Cause::NotBool),
        ("event.priority / 0 == 1", Cause::Math),
        ("9223372036854775807 + event.priority > 0", Cause::Math),
        ("true && event.data.city == 'Rome'", Cause::MissingValue),
        ("event.data.items.all(i, i.missing == 1)", Cause::MissingValue),
    ] {
        assert_eq!(judge(text, &shop()), Verdict::Error(cause), "{text}");
    }
    assert_eq!(judge("event.data.city == 'Rome' || event.urgent", &shop()), Verdict::Yes);
    assert_eq!(judge("event.data.city == 'Rome' && !event.urgent", &shop()), Verdict::No);
}

#[test]
fn data_is_needed_only_where_it_is_looked_at() {
    let with = |data| Draft::new("1", "s", "t").data(Data::Text(data)).build().unwrap();
    assert_eq!(judge("event.type == 't'", &with("{")), Verdict::Yes);
    assert_eq!(judge("event.data.a == 1", &with("{")), Verdict::Error(Cause::NotJson));
    assert_eq!(judge("event.data == 1", &with("1")), Verdict::Yes);
    let without = Draft::new("1", "s", "t").build().unwrap();
    assert_eq!(judge("event.data.a == 1", &without), Verdict::Error(Cause::MissingValue));
    assert_eq!(judge("!has(event.data)", &without), Verdict::Yes);
}

#[test]
fn what_is_wrong_is_refused_with_its_column() {
    let refused = |text: &str| compile(text).expect_err(text);
    let check = |text: &str, expected: &str| {
        assert!(refused(text).contains(expected), "{text}: {}", refused(text));
    };
    check("event.type ==", "at column");
    check("", "at column");
    check("type == 'a'", "cel: unknown name \"type\" at column 1");
    check("event.type.matches('a')", "unknown function \"matches\"");
    check("event.type.matches('a')", "patterns are for data filters");
    check("event.type.beginsWith('a')", "unknown function \"beginsWith\"");
    check("size(event.type)", "a filter must give true or false");
    check("1 + 1", "a filter must give true or false");
    check("size(event.type, 1) == 1", "another number of arguments");
    check("[event.id] == ['a']", "a list may hold literals only");
    check("{'a': 1} == event.data", "objects cannot be made here");
    check(&"event.type == 'a' ".repeat(300), "longer than 4096 bytes");
}

#[test]
fn what_could_cost_more_than_the_data_is_refused() {
    let refused = |text: &str| compile(text).expect_err(text);
    let check = |text: &str, expected: &str| {
        assert!(refused(text).contains(expected), "{text}: {}", refused(text));
    };
    check("event.data.a.all(x, event.data.b.all(y, x == y))", "a macro cannot stand");
    check("event.data.a.all(x, x.all(y, y.all(z, true)))", "a macro cannot stand inside another");
    check("event.data.a.filter(x, true).filter(x, true).size() > 1", "a macro cannot stand behind another");
    check("event.data.a.map(x, [x, x]).size() > 1", "map is not there");
    check("event.data.a.map(x, true, [x, x]).size() > 1", "map is not there");
    check("event.data.a.exists(x, x in event.data.b)", "only the element can be looked at");
    check(&format!("event.id {} == 'a'", "+ event.id".repeat(17)), "more than 16 times +");
    check(&format!("event{} == 1", ".a".repeat(100)), "nested more than 64 levels deep");
    check(&format!("{}true{}", "(".repeat(500), ")".repeat(500)), "");
    let chain = vec!["event.id == 'a'"; 100].join(" || ");
    assert_eq!(judge(&chain, &shop()), Verdict::No);
}

#[test]
fn an_explanation_shows_what_was_looked_at() {
    let cel = compile("event.type == 'a' && event.data.total > 40 && event.data.city == 'x'").unwrap();
    let event = shop();
    let subject = Subject::new(&event);
    assert_eq!(
        cel.explain(&subject, Values::Shown),
        "cel event.type == 'a' && event.data.total > 40 && event.data.city == 'x', where event.type is \
         \"com.shop.order\", event.data.total is 42.5, event.data.city is missing"
    );
    assert!(cel.explain(&subject, Values::Redacted).contains("event.data.total is a number of 4 bytes"));
}
