//! One binary for all integration tests of this crate: the client against canned clouds.

mod blocking;
mod cloud;
mod connection;
mod drift;
mod lists;
mod parity;
mod recorded;
mod storage;
mod tls;
