//! What tests of several crates share: contents of volumes, and volumes that fail on purpose.
//!
//! A dev-dependency only. Start at `content.rs`; a store that fails on purpose
//! is in the store's own crate.

pub mod content;
mod faults;
mod memory;
mod tracked;

pub use faults::{VolumeCall, VolumeFault, VolumeFaults};
pub use memory::MemoryProvider;
pub use tracked::{TrackedSnapshot, TrackedVolume};
