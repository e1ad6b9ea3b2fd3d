//! Identifiers: one type for each thing that has one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A string that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid {kind} id")]
pub struct BadId {
    /// What was given.
    pub text: String,
    /// What it should have named.
    pub kind: &'static str,
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| BadId { text: text.to_owned(), kind: $kind })
            }
        }
    )*};
}

uuid_ids! {
    /// Names a block volume.
    VolumeId = "volume";
    /// Names a snapshot of a volume.
    SnapshotId = "snapshot";
    /// Names a server: a set of volumes kept together.
    ServerId = "server";
    /// Names a file system.
    FileSystemId = "file system";
    /// Names what a vault protects: a volume, a server or a file system, as its kind says.
    ResourceId = "resource";
    /// Names a volume type.
    VolumeTypeId = "volume type";
    /// Names a backup: one volume at one instant.
    BackupId = "backup";
    /// Names a vault.
    VaultId = "vault";
    /// Names a checkpoint: one run over a vault.
    CheckpointId = "checkpoint";
    /// Names a policy.
    PolicyId = "policy";
    /// Names the sharing of a backup with a project.
    MemberId = "member";
    /// Names a task.
    TaskId = "task";
    /// Names an attachment of a volume.
    AttachmentId = "attachment";
    /// Names a message about something that failed.
    MessageId = "message";
}

macro_rules! resource_ids {
    ($($name:ident)*) => {$(
        impl From<$name> for ResourceId {
            fn from(id: $name) -> Self {
                Self(id.0)
            }
        }

        impl From<ResourceId> for $name {
            /// Reads the id as that of this kind; whoever does so knows the resource's kind.
            fn from(id: ResourceId) -> Self {
                Self(id.0)
            }
        }
    )*};
}

resource_ids!(VolumeId ServerId FileSystemId);

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Returns the id as it travels.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id.simple().to_string())
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            /// Takes what an identity service may hand out: 1 to 64 letters, digits, `-`, `_`.
            fn from_str(text: &str) -> Result<Self, BadId> {
                let fits = (1..=64).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                if fits {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadId { text: text.to_owned(), kind: $kind })
                }
            }
        }
    )*};
}

text_ids! {
    /// Names a project as the identity service does: usually 32 hex digits.
    ProjectId = "project";
    /// Names a user as the identity service does: usually 32 hex digits.
    UserId = "user";
    /// Names a role.
    RoleId = "role";
    /// Names a domain; the built-in identity has one, `default`.
    DomainId = "domain";
}
