use super::*;

#[test]
fn everything_the_sdk_can_hold_goes_there_and_back() {
    let event = Draft::new("1", "/s", "t")
        .with("datacontenttype", "application/json")
        .with("dataschema", Value::Uri("http://example.com/schema".into()))
        .with("subject", "orders")
        .with("time", "2026-11-24T10:00:00+00:00")
        .with("count", 7)
        .with("urgent", true)
        .data(Data::Text("{\"b\":1,\"a\":[null]}"))
        .build()
        .unwrap();
    let sdk = SdkEvent::try_from(&event).unwrap();
    assert_eq!(sdk.data(), Some(&SdkData::Json(serde_json::json!({"b": 1, "a": [null]}))));
    assert_eq!(Event::try_from(&sdk).unwrap(), event);
}

#[test]
fn data_is_json_only_where_the_content_type_allows_it() {
    let check = |content_type: &'static str, data: Data<'_>, expected: SdkData| {
        let event = Draft::new("1", "/s", "t").with("datacontenttype", content_type).build_with(Some(data)).unwrap();
        assert_eq!(SdkEvent::try_from(&event).unwrap().data(), Some(&expected));
    };
    check("application/json", Data::Text("1"), SdkData::Json(1.into()));
    check("application/json", Data::Text("{"), SdkData::String("{".to_owned()));
    check("text/plain", Data::Text("1"), SdkData::String("1".to_owned()));
    check("application/json", Data::Binary(b"1"), SdkData::Binary(b"1".to_vec()));
}

#[test]
fn what_the_other_side_cannot_hold_is_refused_by_name() {
    let event = Draft::new("1", "/s", "t").with("dataschema", "not absolute").build().unwrap();
    assert!(SdkEvent::try_from(&event).unwrap_err().to_string().starts_with("attribute dataschema: "));
    let mut sdk = SdkEvent::try_from(&Draft::new("1", "/s", "t").build().unwrap()).unwrap();
    sdk.set_extension("big", i64::MAX);
    assert!(Event::try_from(&sdk).unwrap_err().to_string().starts_with("attribute big: "));
}
