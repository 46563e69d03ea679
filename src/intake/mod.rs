//! The pump from a source to a bus: publish, and only then acknowledge.
