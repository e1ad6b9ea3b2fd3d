//! Identifiers as a cloud hands them out: opaque text, one type for each thing.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// Returns the id as it travels.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )*};
}

ids! {
    /// Names a block volume.
    VolumeId;
    /// Names a snapshot of a volume.
    SnapshotId;
    /// Names a backup, the same on both wires.
    BackupId;
    /// Names a vault.
    VaultId;
    /// Names a checkpoint.
    CheckpointId;
    /// Names a task.
    TaskId;
}
