//! One binary for all integration tests of this crate: versioned objects against recorded ones.

mod construction;
mod memory;
mod properties;
mod vectors;
