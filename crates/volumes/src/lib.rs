//! The ports for reading and writing block volumes, and their adapters.
//!
//! Start at `port.rs`. Nothing here knows what a backup is.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod file;
pub mod image;
pub mod nbd;
pub mod overlay;
pub mod port;
mod provider;
pub mod qmp;
pub mod tree;
mod zero;

pub use file::{FileSource, FileTarget};
pub use image::{ImageFormat, Qcow2Target, image_format, open_image};
pub use nbd::{BitmapHints, NbdSource, NbdTarget, VolumeExport};
pub use overlay::Overlay;
pub use port::{
    ChangeSet, Extent, ExtentKind, RestoreTarget, SourceSnapshot, TargetState, VolumeError,
    VolumeProvider,
};
pub use provider::{FileProvider, NewVolume};
pub use tree::{TreeReport, TreeTarget};
