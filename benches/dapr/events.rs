//! The events under way: 1 KiB of JSON, in the forms that the contenders take.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use penstock::event::{Data, Draft, Event};
use penstock::flow::{Deduplicate, Outgoing};
use penstock::proto::dapr_runtime::{BulkPublishRequest, BulkPublishRequestEntry};

/// Data that is not all alike, so that a compressor is not flattered; about 900 bytes.
pub fn data(number: usize) -> String {
    let mut text = format!("{{\"order\":{number},\"total\":{}.5,\"items\":[", number % 1000);
    let mut state = number as u64;
    for item in 0..8 {
        // Knuth's linear congruential generator: the same events in every run.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let comma = if item == 0 { "" } else { "," };
        let (sku, count) = (state >> 16, state >> 61);
        write!(text, "{comma}{{\"sku\":\"{sku:012x}\",\"count\":{count},\"note\":\"leave at the door, ring twice\"}}")
            .unwrap();
    }
    text.push_str("]}");
    text
}

/// An event as Penstock holds it.
pub fn event(id: &str, number: usize) -> Event {
    let draft = Draft::new(id, "/bench", "com.example.bench").with("datacontenttype", "application/json");
    draft.data(Data::Text(&data(number))).build().unwrap()
}

/// A batch to publish.
pub fn batch(run: &str, numbers: std::ops::Range<usize>) -> Vec<Outgoing> {
    let outgoing = |number| {
        let event = event(&format!("{run}-{number}"), number);
        Outgoing { event, delay: None, deduplicate: Deduplicate::Event }
    };
    numbers.map(outgoing).collect()
}

/// The same events for daprd's bulk publish, as structured `CloudEvents`: the form that costs daprd least.
pub fn bulk(component: &str, topic: &str, run: &str, numbers: std::ops::Range<usize>) -> BulkPublishRequest {
    let entry = |number: usize| BulkPublishRequestEntry {
        entry_id: number.to_string(),
        event: structured(&format!("{run}-{number}"), number),
        content_type: "application/cloudevents+json".to_owned(),
        metadata: BTreeMap::new(),
    };
    let (pubsub_name, topic) = (component.to_owned(), topic.to_owned());
    BulkPublishRequest { pubsub_name, topic, entries: numbers.map(entry).collect(), metadata: BTreeMap::new() }
}

/// One structured `CloudEvent`.
pub fn structured(id: &str, number: usize) -> Bytes {
    let data = data(number);
    let text = format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/bench\",\"type\":\"com.example.bench\",\
         \"datacontenttype\":\"application/json\",\"data\":{data}}}"
    );
    text.into()
}
