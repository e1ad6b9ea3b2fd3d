//! One binary for all integration tests of this crate: client and server over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod ours;
mod support;
mod tools;
