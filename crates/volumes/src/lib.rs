//! The ports for reading and writing block volumes, and their adapters.
//!
//! Start at `port.rs`. Nothing here knows what a backup is.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod file;
pub mod image;
pub mod port;
mod provider;
mod zero;

pub use file::{FileSource, FileTarget};
pub use image::{ImageFormat, open_image};
pub use port::{
    ChangeSet, Extent, ExtentKind, RestoreTarget, SourceSnapshot, TargetState, VolumeError,
    VolumeProvider,
};
pub use provider::{FileProvider, NewVolume};
