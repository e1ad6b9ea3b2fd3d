//! One binary for all integration tests of this crate: starting the service.

mod start;
