//! One binary for all integration tests of this crate: client and server over real sockets.

mod ours;
mod support;
mod tools;
