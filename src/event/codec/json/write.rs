//! Events to structured JSON.

use super::is_value;
use crate::event::codec::is_json;
use crate::event::{Data, Event, Value};

/// Appends one event as a JSON object.
pub fn write(event: &Event, out: &mut Vec<u8>) {
    write_attributes(event, out);
    if let Some(data) = event.data() {
        write_data(event, data, out);
    }
    out.push(b'}');
}

/// As [`write()`], with the data in `data_base64` always: for readers that would otherwise write JSON
/// data anew, or drop what is neither JSON nor text.
pub fn write_encoded(event: &Event, out: &mut Vec<u8>) {
    write_attributes(event, out);
    if let Some(data) = event.data() {
        member(out, "data_base64");
        base64(out, data.bytes());
    }
    out.push(b'}');
}

fn write_attributes(event: &Event, out: &mut Vec<u8>) {
    // The record holds every string once; JSON adds quotes and member names.
    out.reserve(event.record().len() + 128);
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    for (name, text) in [("id", event.id()), ("source", event.source()), ("type", event.ty())] {
        member(out, name);
        string(out, text);
    }
    for (name, value) in event.attributes() {
        member(out, name);
        attribute(out, &value);
    }
}

/// Appends a batch as a JSON array.
pub fn write_batch<'a>(events: impl IntoIterator<Item = &'a Event>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(event, out);
    }
    out.push(b']');
}

fn write_data(event: &Event, data: Data<'_>, out: &mut Vec<u8>) {
    match (data, event.data_content_type()) {
        (Data::Text(text), Some(content_type)) if !is_json(content_type) => {
            member(out, "data");
            string(out, text);
        }
        // Checked, because a content type only claims; an unchecked splice could forge members.
        (Data::Text(text), Some(_)) if is_value(text) => {
            member(out, "data");
            out.extend_from_slice(text.as_bytes());
        }
        _ => {
            member(out, "data_base64");
            base64(out, data.bytes());
        }
    }
}

/// Appends `,"name":`. Attribute names are lower-case letters and digits: nothing to escape.
fn member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn attribute(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Boolean(_) | Value::Integer(_) => out.extend_from_slice(value.text().as_bytes()),
        Value::Bytes(bytes) => base64(out, bytes),
        Value::String(text) | Value::Uri(text) | Value::UriRef(text) => string(out, text),
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string always serialises, and a vector takes every write");
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len() + 1;
    let len = data_encoding::BASE64.encode_len(bytes.len());
    out.push(b'"');
    out.resize(start + len, 0);
    data_encoding::BASE64.encode_mut(bytes, &mut out[start..]);
    out.push(b'"');
}
