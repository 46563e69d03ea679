//! The streams that are open to one daprd, and the request to close them all.
//!
//! daprd does not end while a stream is open: whoever wants it to shut down closes them first.

use tokio::sync::watch;

use crate::task::Shutdown;

/// Counts open streams; clones share the count.
#[derive(Clone, Debug)]
pub(super) struct Streams(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// Nobody opens another one for now.
    held: bool,
    /// Requested when the streams that opened under it must close; then a new one takes its place.
    closing: Shutdown,
}

/// One open stream, for as long as it lives.
pub(super) struct Open {
    streams: Streams,
    /// Requested when the stream must be closed.
    pub closing: Shutdown,
}

/// Keeps streams from being opened, for as long as it lives.
pub(super) struct Held(Streams);

impl Streams {
    pub fn new() -> Self {
        Self(watch::Sender::new(State::default()))
    }

    /// Counts one more stream, once none of them is [held](Streams::hold) any more. Cancel-safe.
    pub async fn open(&self) -> Open {
        let mut states = self.0.subscribe();
        loop {
            let mut opened = None;
            self.0.send_if_modified(|state| {
                if !state.held {
                    state.open += 1;
                    opened = Some(Open { streams: self.clone(), closing: state.closing.clone() });
                }
                !state.held
            });
            if let Some(opened) = opened {
                return opened;
            }
            // Fails only when the sender is gone, which `self` holds.
            drop(states.wait_for(|state| !state.held).await);
        }
    }

    /// Asks every open stream to close, and lets no other be opened while the answer lives.
    pub fn hold(&self) -> Held {
        self.0.send_modify(|state| {
            state.held = true;
            std::mem::take(&mut state.closing).request();
        });
        Held(self.clone())
    }

    /// Waits until no stream is open. Cancel-safe.
    pub async fn closed(&self) {
        // As above.
        drop(self.0.subscribe().wait_for(|state| state.open == 0).await);
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.borrow().open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.streams.0.send_modify(|state| state.open -= 1);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.held = false);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn held_streams_close_and_none_is_opened_until_they_are_let_go() {
        let streams = Streams::new();
        let first = streams.open().await;
        let held = streams.hold();
        first.closing.requested().await;
        assert!(streams.closed().now_or_never().is_none());
        assert!(streams.open().now_or_never().is_none());
        drop(first);
        streams.closed().await;
        let (second, ()) = tokio::join!(streams.open(), async { drop(held) });
        assert!(!second.closing.is_requested());
        assert_eq!(streams.count(), 1);
    }
}
