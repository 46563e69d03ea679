//! Notifications to events, one for each record (`CloudEvents` adapter "AWS Simple Storage Service"). Pure.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::TYPE_PREFIX;
use super::config::Config;
use crate::event::{Data, Draft, Event, InvalidEvent};

/// What is posted, and what stands on one line of the listen API.
#[derive(Deserialize)]
struct Notification<'a> {
    /// Null in a sign of life.
    #[serde(borrow, rename = "Records", default)]
    records: Present<Option<Vec<&'a RawValue>>>,
    /// AWS: `s3:TestEvent`, after a bucket was told where to post.
    #[serde(borrow, rename = "Event", default)]
    event: Option<Cow<'a, str>>,
}

/// Tells a field that is null from one that is missing.
#[derive(Default)]
enum Present<T> {
    #[default]
    No,
    Yes(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Present<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::Yes)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow, default)]
    aws_region: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_time: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow, default)]
    response_elements: ResponseElements<'a>,
    #[serde(borrow)]
    s3: S3<'a>,
}

#[derive(Default, Deserialize)]
struct ResponseElements<'a> {
    #[serde(borrow, rename = "x-amz-request-id", default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "x-amz-id-2", default)]
    id_2: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct S3<'a> {
    #[serde(borrow)]
    bucket: Bucket<'a>,
    #[serde(borrow)]
    object: Object<'a>,
}

#[derive(Deserialize)]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    version_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sequencer: Option<Cow<'a, str>>,
}

/// How the keys of objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// As in a form: what is posted.
    Escaped,
    /// As they are: what is listened to.
    Plain,
}

/// The events of those records of a posted body that count.
///
/// # Errors
/// When it is no notification, or a record lacks what an event needs.
pub fn posted(body: &[u8], config: &Config) -> Result<Vec<Event>, InvalidEvent> {
    records(body, Keys::Escaped, config)
}

/// As [`posted`], of a line of the listen API.
pub(super) fn heard(line: &[u8], config: &Config) -> Result<Vec<Event>, InvalidEvent> {
    records(line, Keys::Plain, config)
}

fn records(bytes: &[u8], keys: Keys, config: &Config) -> Result<Vec<Event>, InvalidEvent> {
    let Config { selection, region, .. } = config;
    let Notification { records, event } = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    let records = match records {
        Present::Yes(records) => records.unwrap_or_default(),
        Present::No if event.as_deref() == Some("s3:TestEvent") => Vec::new(),
        Present::No => return Err(unreadable(&"it has no Records")),
    };
    let mut events = Vec::with_capacity(records.len());
    for raw in records {
        let record: Record<'_> = serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))?;
        let (bucket, object) = (&record.s3.bucket, &record.s3.object);
        // AWS leaves out what others begin with.
        let name = record.event_name.strip_prefix("s3:").unwrap_or(&record.event_name);
        let key = match keys {
            Keys::Escaped => unescape(&object.key),
            Keys::Plain => object.key.clone(),
        };
        if selection.takes(&bucket.name, name, &key) {
            events.push(event_of(&record, name, region.as_deref(), raw.get())?);
        }
    }
    Ok(events)
}

fn event_of(record: &Record<'_>, name: &str, region: Option<&str>, raw: &str) -> Result<Event, InvalidEvent> {
    let region = record.aws_region.as_deref().filter(|region| !region.is_empty()).or(region);
    let mut source = record.event_source.clone().into_owned();
    for part in region.into_iter().chain([&*record.s3.bucket.name]) {
        source.push('.');
        source.push_str(part);
    }
    let draft = Draft::new(id(record, name), source, format!("{TYPE_PREFIX}{name}"))
        .with("subject", &*record.s3.object.key)
        .with("time", &*record.event_time)
        .with("datacontenttype", "application/json");
    draft.data(Data::Text(raw)).build()
}

/// The two ids of the request, as the adapter has it, and eight bytes of a digest of what happened to what: one
/// request may delete, or unpack, many objects.
fn id(record: &Record<'_>, name: &str) -> String {
    let ResponseElements { request_id, id_2 } = &record.response_elements;
    let object = &record.s3.object;
    let version = object.version_id.as_deref().unwrap_or_default();
    let sequencer = object.sequencer.as_deref().unwrap_or_default();
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [&*record.s3.bucket.name, &*object.key, version, sequencer, name] {
        digest.update(part.as_bytes());
        digest.update(&[0]);
    }
    let mut id = String::new();
    for part in [request_id, id_2].into_iter().flatten().filter(|part| !part.is_empty()) {
        id.push_str(part);
        id.push('.');
    }
    id.push_str(&HEXLOWER.encode(&digest.finish().as_ref()[..8]));
    id
}

/// As a form is written: a plus is a space, and the rest as in addresses.
fn unescape(key: &str) -> Cow<'_, str> {
    if !key.contains(['+', '%']) {
        return Cow::Borrowed(key);
    }
    let spaced = key.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

fn unreadable(reason: &impl ToString) -> InvalidEvent {
    InvalidEvent::Encoding { format: "the S3 notification", reason: reason.to_string() }
}
