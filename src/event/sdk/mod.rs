//! [`Event`] to and from `cloudevents::Event`, the type at public edges.
//!
//! The SDK keeps JSON data as a value, times as UTC and all text as `String`: so going through it
//! may reformat JSON and times, and turns URIs and bytes among the extensions into strings. The
//! pipeline itself never goes through it.

use cloudevents::event::{EventBuilderError, ExtensionValue, TryIntoUrl};
use cloudevents::{
    AttributesReader, AttributesWriter, Data as SdkData, Event as SdkEvent, EventBuilder, EventBuilderV10,
};

use super::codec::is_json;
use super::{Data, Draft, Event, InvalidEvent, Value};

impl TryFrom<&Event> for SdkEvent {
    type Error = InvalidEvent;

    /// # Errors
    /// When `dataschema` is no absolute URI, or `time` is outside what the SDK can hold.
    fn try_from(event: &Event) -> Result<Self, InvalidEvent> {
        let mut builder = EventBuilderV10::new().id(event.id()).source(event.source()).ty(event.ty());
        for (name, value) in event.attributes() {
            builder = match name {
                "subject" => builder.subject(value.text()),
                "time" => builder.time(value.text().into_owned()),
                "datacontenttype" | "dataschema" => builder,
                _ => builder.extension(name, extension(value)),
            };
        }
        let mut out = builder.build().map_err(|error| refused(&error))?;
        out.set_datacontenttype(event.data_content_type());
        if let Some(schema) = event.data_schema() {
            out.set_dataschema(Some(schema.into_url().map_err(|error| invalid("dataschema", &error))?));
        }
        if let Some(data) = event.data() {
            out.set_data_unchecked(sdk_data(data, event.data_content_type()));
        }
        Ok(out)
    }
}

impl TryFrom<&SdkEvent> for Event {
    type Error = InvalidEvent;

    /// # Errors
    /// When an extension is an integer beyond 32 bits, or a name is no `CloudEvents` name.
    fn try_from(event: &SdkEvent) -> Result<Self, InvalidEvent> {
        let mut draft = Draft::new(event.id(), event.source(), event.ty());
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method's crate is no dependency of ours")]
        let time = event.time().map(|time| time.to_rfc3339());
        let attributes = [
            ("datacontenttype", event.datacontenttype().map(Value::from)),
            ("dataschema", event.dataschema().map(|schema| Value::Uri(schema.as_str().into()))),
            ("subject", event.subject().map(Value::from)),
            ("time", time.map(Value::from)),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                draft = draft.with(name, value);
            }
        }
        for (name, value) in event.iter_extensions() {
            let value = match value {
                ExtensionValue::String(text) => Value::from(text.as_str()),
                ExtensionValue::Boolean(truth) => Value::Boolean(*truth),
                ExtensionValue::Integer(number) => {
                    Value::Integer(i32::try_from(*number).map_err(|error| invalid(name, &error))?)
                }
            };
            draft = draft.with(name, value);
        }
        match event.data() {
            Some(SdkData::Binary(bytes)) => draft.build_with(Some(Data::Binary(bytes))),
            Some(SdkData::String(text)) => draft.build_with(Some(Data::Text(text))),
            Some(SdkData::Json(value)) => draft.build_with(Some(Data::Text(&value.to_string()))),
            None => draft.build(),
        }
    }
}

fn extension(value: Value<'_>) -> ExtensionValue {
    match value {
        Value::Boolean(truth) => ExtensionValue::Boolean(truth),
        Value::Integer(number) => ExtensionValue::Integer(number.into()),
        other => ExtensionValue::String(other.into_text().into_owned()),
    }
}

fn sdk_data(data: Data<'_>, content_type: Option<&str>) -> SdkData {
    match data {
        Data::Binary(bytes) => SdkData::Binary(bytes.to_vec()),
        Data::Text(text) => match serde_json::from_str(text) {
            Ok(value) if content_type.is_none_or(is_json) => SdkData::Json(value),
            _ => SdkData::String(text.to_owned()),
        },
    }
}

fn refused(error: &EventBuilderError) -> InvalidEvent {
    let name = match error {
        EventBuilderError::MissingRequiredAttribute { attribute_name }
        | EventBuilderError::ParseTimeError { attribute_name, .. }
        | EventBuilderError::ParseUrlError { attribute_name, .. }
        | EventBuilderError::InvalidUriRefError { attribute_name } => attribute_name,
    };
    invalid(name, error)
}

fn invalid(name: &str, error: &dyn std::error::Error) -> InvalidEvent {
    InvalidEvent::Value { name: name.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;
