//! Bytes and headers to [`Event`](crate::event::Event) and back.
