use super::*;
use crate::event::codec::MAX_ATTRIBUTES;
use crate::event::{Data, Draft, Event, Value};

const HEAD: &str = r#""specversion":"1.0","id":"1","source":"/s","type":"t""#;

fn read(members: &str) -> Event {
    parse(format!("{{{HEAD}{members}}}").as_bytes()).unwrap()
}

fn written(event: &Event) -> String {
    let mut out = Vec::new();
    write(event, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn attributes_keep_their_type_and_null_is_absent() {
    let event = read(r#","urgent":true,"count":-7,"note":"a\n\u00e4","gone":null,"dataschema":"http://x/y""#);
    assert_eq!(event.attribute("urgent"), Some(Value::Boolean(true)));
    assert_eq!(event.attribute("count"), Some(Value::Integer(-7)));
    assert_eq!(event.attribute("note"), Some(Value::from("a\nä")));
    assert_eq!(event.attribute("gone"), None);
    assert_eq!(event.attribute("dataschema"), Some(Value::Uri("http://x/y".into())));
}

#[test]
fn the_content_type_decides_what_data_means() {
    let check = |members: &str, expected: Option<Data<'_>>, content_type: Option<&str>| {
        let event = read(members);
        assert_eq!(event.data(), expected, "{members}");
        assert_eq!(event.data_content_type(), content_type, "{members}");
    };
    let json = Some("application/json");
    check("", None, None);
    check(r#","data":{"a": 1.0,  "b":[ ]}"#, Some(Data::Text(r#"{"a": 1.0,  "b":[ ]}"#)), json);
    check(r#","data":"text""#, Some(Data::Text("\"text\"")), json);
    check(r#","data":null"#, Some(Data::Text("null")), json);
    check(
        r#","data":12345678901234567890.10,"datacontenttype":"a/b+json""#,
        Some(Data::Text("12345678901234567890.10")),
        Some("a/b+json"),
    );
    check(r#","datacontenttype":"text/xml","data":"<a>\"</a>""#, Some(Data::Text("<a>\"</a>")), Some("text/xml"));
    check(r#","data":{"a":1},"datacontenttype":"text/xml""#, Some(Data::Text("{\"a\":1}")), Some("text/xml"));
    check(r#","data":null,"datacontenttype":"text/xml""#, None, Some("text/xml"));
    check(r#","data_base64":"AJ+S""#, Some(Data::Binary(&[0, 159, 146])), None);
    check(r#","data_base64":null,"data":1"#, Some(Data::Text("1")), json);
}

#[test]
fn what_is_written_depends_on_content_type_and_bytes() {
    let check = |content_type: Option<&'static str>, data: Data<'_>, expected: &str| {
        let mut draft = Draft::new("1", "/s", "t");
        if let Some(content_type) = content_type {
            draft = draft.with("datacontenttype", content_type);
        }
        let text = written(&draft.build_with(Some(data)).unwrap());
        assert!(text.ends_with(&format!("{expected}}}")), "{text}");
    };
    check(Some("application/json"), Data::Text("{ \"a\":1 }"), r#","data":{ "a":1 }"#);
    check(Some("text/plain"), Data::Text("a\"b"), r#","data":"a\"b""#);
    check(Some("text/plain"), Data::Binary(&[255]), r#","data_base64":"/w==""#);
    // Text that only claims to be JSON cannot forge members.
    check(Some("application/json"), Data::Text("1,\"id\":\"2\""), r#","data_base64":"MSwiaWQiOiIyIg==""#);
    check(None, Data::Text("{}"), r#","data_base64":"e30=""#);
}

#[test]
fn an_event_is_written_with_its_required_attributes_first() {
    let event = Draft::new("a\"b", "/s", "t").with("count", 7).with("urgent", false).build().unwrap();
    assert_eq!(
        written(&event),
        r#"{"specversion":"1.0","id":"a\"b","source":"/s","type":"t","count":7,"urgent":false}"#
    );
}

#[test]
fn what_is_no_cloudevent_is_refused_with_its_reason() {
    let check = |text: &str, expected: &str| {
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    };
    let with = |members: &str| format!("{{{HEAD}{members}}}");
    check(r#"{"specversion":"1.0","source":"/s","type":"t"}"#, "the required attribute id is missing");
    check(r#"{"id":"1","source":"/s","type":"t"}"#, "the required attribute specversion is missing");
    check(r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#, "specversion is \"0.3\", only");
    check(r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#, "attribute id: it must be a string");
    check(&with(r#","data":1,"data_base64":"AA==""#), "both data and data_base64");
    check(&with(r#","data_base64":"A===""#), "data_base64 is not base64");
    check(&with(r#","data_base64":1"#), "attribute data_base64: it must be a string");
    check(&with(r#","time":"yesterday""#), "time \"yesterday\" is not");
    check(&with(r#","time":5"#), "attribute time: it must be a string");
    check(&with(r#","Priority":"x""#), "attribute name \"Priority\" is not made of");
    check(&with(r#","count":2147483648"#), "attribute count: the number is not a 32-bit integer");
    check(&with(r#","count":99999999999999999999"#), "attribute count: the number is not a 32-bit integer");
    check(&with(r#","count":1.5"#), "attribute count: the number is not a 32-bit integer");
    check(&with(r#","list":[1,[2]]"#), "attribute list: an attribute cannot be an array");
    check(&with(r#","map":{"a":{}}"#), "attribute map: an attribute cannot be an object");
    check(&with(r#","id":"2""#), "attribute id: it is given more than once");
    check(&with(r#","x":1,"x":1"#), "attribute x: it is given more than once");
    check(&with(r#","data":1,"data":2"#), "attribute data: it is given more than once");
    check("[]", "JSON cannot be read: invalid type: sequence, expected a CloudEvent object");
    check("{} x", "JSON cannot be read: trailing characters");
    check("", "JSON cannot be read: EOF");
}

#[test]
fn truncated_or_mangled_json_is_refused() {
    let good = format!(r#"{{{HEAD},"data":{{"a":[1,"b"]}},"x":true}}"#);
    for cut in 0..good.len() {
        let error = parse(&good.as_bytes()[..cut]).unwrap_err().to_string();
        assert!(error.starts_with("JSON cannot be read"), "{error}");
    }
    assert!(parse(b"{\"id\":\"\xFF\"}").is_err());
    assert!(parse(format!("{{{HEAD},\"data\":\"\u{fffd}\"}}").replace('\u{fffd}', "\u{1}").as_bytes()).is_err());
}

#[test]
fn attributes_without_end_are_refused() {
    let members = |count: usize| (0..count).map(|index| format!(",\"x{index}\":1")).collect::<Vec<_>>().concat();
    assert_eq!(read(&members(MAX_ATTRIBUTES)).attributes().count(), MAX_ATTRIBUTES);
    let error = parse(format!("{{{HEAD}{}}}", members(MAX_ATTRIBUTES + 1)).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "attribute x256: more than 256 attributes");
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    assert_eq!(parse_batch(b" [ ] ").unwrap(), []);
    let one = format!("{{{HEAD}}}");
    assert_eq!(parse_batch(format!("[{one},{one}]").as_bytes()).unwrap().len(), 2);
    let error = parse_batch(format!("[{one},{{}}]").as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the required attribute specversion is missing or empty");
    assert!(parse_batch(one.as_bytes()).is_err());
}
