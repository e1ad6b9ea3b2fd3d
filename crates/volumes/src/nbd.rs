//! Volumes behind NBD: those that others serve, read and written, and ours served to others.

mod export;
mod source;
mod target;

pub use export::VolumeExport;
pub use source::{BitmapHints, NbdSource};
pub use target::NbdTarget;

use emberkeep_nbd::ClientError;
use emberkeep_nbd::protocol::WireError;

use crate::VolumeError;

/// Words an NBD failure for whoever reads or writes a volume.
fn volume_error(what: String, cause: ClientError) -> VolumeError {
    match &cause {
        ClientError::NoSuchExport { .. } => VolumeError::Missing { what },
        ClientError::Request { error, .. } if *error == WireError::NOSPC => {
            VolumeError::NoSpace { what }
        }
        ClientError::OutOfRange { .. } => {
            let reason = cause.to_string();
            VolumeError::OutOfRange { what, reason }
        }
        _ => VolumeError::io(what, std::io::Error::other(cause)),
    }
}

#[cfg(test)]
mod tests;
