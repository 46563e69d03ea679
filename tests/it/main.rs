//! The integration tests: everything that is tested through public seams.

mod conformance;
mod routing;
