//! A reader of a topic behind daprd: a stream that asks for what is behind a place, and for what is behind what came
//! when it has to be opened again.

use async_trait::async_trait;

use crate::fault::Fault;
use crate::flow::{self, Read, Received, Subscriber};

/// Reads what a stream hands out.
pub(super) struct Reader(pub Box<dyn Subscriber>);

#[async_trait]
impl flow::Reader for Reader {
    async fn next(&mut self) -> Result<Vec<Read>, Fault> {
        let received = self.0.next().await?;
        let read = received.into_iter().map(|Received { event, position, appended, receipt, .. }| {
            // The place is kept by whoever reads: what is behind it comes again.
            receipt.ack();
            Read { event, position, appended }
        });
        Ok(read.collect())
    }
}
