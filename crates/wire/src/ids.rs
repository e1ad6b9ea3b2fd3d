//! Identifiers as they travel: opaque text, one type for each thing.
//!
//! A client must not refuse an answer because another cloud's ids look different from ours, so
//! nothing here asks for a form; the model's ids, which do, convert into these.

use std::fmt;

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

use crate::lenient;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $(= $inner:ty)?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
        #[serde(transparent)]
        pub struct $name(#[serde(deserialize_with = "lenient::text")] pub String);

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

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        $(impl From<$inner> for $name {
            fn from(id: $inner) -> Self {
                Self(id.to_string())
            }
        }

        impl From<&$inner> for $name {
            fn from(id: &$inner) -> Self {
                Self(id.to_string())
            }
        })?
    )*};
}

ids! {
    /// Names a block volume.
    VolumeId = model::VolumeId;
    /// Names a snapshot of a volume.
    SnapshotId = model::SnapshotId;
    /// Names a backup, the same on both wires.
    BackupId = model::BackupId;
    /// Names a vault.
    VaultId = model::VaultId;
    /// Names a checkpoint.
    CheckpointId = model::CheckpointId;
    /// Names a task.
    TaskId = model::TaskId;
    /// Names a policy.
    PolicyId = model::PolicyId;
    /// Names the sharing of a backup with a project.
    MemberId = model::MemberId;
    /// Names a project.
    ProjectId = model::ProjectId;
    /// Names a user.
    UserId = model::UserId;
    /// Names what is protected: a disk, a server, a file system.
    ResourceId = model::ResourceId;
    /// Names a server.
    ServerId = model::ServerId;
    /// Names a file system.
    FileSystemId = model::FileSystemId;
}

impl From<model::VolumeId> for ResourceId {
    fn from(id: model::VolumeId) -> Self {
        Self(id.to_string())
    }
}

// A resource of a vault for disks is a volume, and the reverse.
impl From<VolumeId> for ResourceId {
    fn from(id: VolumeId) -> Self {
        Self(id.0)
    }
}

impl From<&VolumeId> for ResourceId {
    fn from(id: &VolumeId) -> Self {
        Self(id.0.clone())
    }
}

impl From<ResourceId> for VolumeId {
    fn from(id: ResourceId) -> Self {
        Self(id.0)
    }
}

impl From<&ResourceId> for VolumeId {
    fn from(id: &ResourceId) -> Self {
        Self(id.0.clone())
    }
}
