//! Reading a request's body within limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::fault::{Fault, FaultKind};
use crate::task;

const OPERATION: &str = "read the request body";

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Its size in bytes.
    pub bytes: usize,
    /// The time until its last byte.
    pub time: Duration,
}

impl Default for BodyLimits {
    /// 1 MiB, the size up to which every bus takes events untuned; 30 seconds, which a slow line
    /// needs for it.
    fn default() -> Self {
        Self { bytes: 1 << 20, time: Duration::from_secs(30) }
    }
}

/// Reads a whole body. One that arrives in one piece is not copied.
///
/// # Errors
/// `TooLarge` as soon as the size or the announced size is over the limit, `Timeout` when it takes
/// too long, `Malformed` when the client stops in the middle.
pub async fn read_body<B>(body: B, limits: BodyLimits) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let announced = body.size_hint().lower();
    if announced > limits.bytes as u64 {
        return Err(too_large(limits));
    }
    task::within(limits.time, collect(body, limits)).await.unwrap_or_else(|| {
        let message = format!("it did not arrive within {} s", limits.time.as_secs_f64());
        Err(Fault::new(FaultKind::Timeout, OPERATION, message))
    })
}

async fn collect<B>(mut body: B, limits: BodyLimits) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Fault::new(FaultKind::Malformed, OPERATION, "it ends early").with_source(error))?;
        // Trailers say nothing about the body.
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limits.bytes {
            return Err(too_large(limits));
        }
        if rest.is_empty() && first.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            // Announced, and below the limit: no growing while it arrives.
            let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0);
            rest.reserve(first.len() + data.len() + expected);
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn too_large(limits: BodyLimits) -> Fault {
    Fault::new(FaultKind::TooLarge, OPERATION, format!("it is larger than {} bytes", limits.bytes))
}
