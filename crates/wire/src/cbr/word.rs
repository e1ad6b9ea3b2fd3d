//! The closed-looking words of the protocol (`cbr-v3.md §0`, `§1`), which other clouds add to
//! without asking: a word not known here is kept, never refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lenient;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$say:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$say])* $variant,)*
            /// A word of another cloud, as it came; empty where there was none.
            Other(String),
        }

        impl $name {
            /// The words that have a meaning here.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the word as it travels.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)*
                    _ => Self::Other(word),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, word: &str) -> bool {
                self.as_str() == word
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, word: &&str) -> bool {
                self.as_str() == *word
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
                sink.serialize_str(self.as_str())
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                // Other clouds have words of their own; a client reads them as text.
                schemars::json_schema!({"type": "string", "examples": [$($word),*]})
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                lenient::word(source)
            }
        }
    )*};
}

words! {
    /// What a vault protects.
    ObjectType {
        /// Servers, with all their disks at one instant.
        Server = "server",
        /// Single disks.
        Disk = "disk",
        /// Shared file systems.
        Turbo = "turbo",
        /// Cloud desktops (Huawei).
        Workspace = "workspace",
        /// Machines of a VMware cluster (Huawei).
        Vmware = "vmware",
        /// Databases (Huawei).
        Rds = "rds",
        /// Files of a machine (Huawei).
        File = "file",
    }
    /// What a vault is for.
    ProtectType {
        /// Backups made here.
        Backup = "backup",
        /// Copies of another region's backups.
        Replication = "replication",
        /// Backups of what lies outside the cloud (Huawei).
        Hybrid = "hybrid",
    }
    /// Whether scheduled runs take in a resource of a vault (Huawei).
    ResourceAction {
        /// They leave it out.
        Suspend = "suspend",
        /// They take it in again.
        Unsuspend = "unsuspend",
    }
    /// What a search by tags is for.
    SearchAction {
        /// What is found.
        Filter = "filter",
        /// Its number.
        Count = "count",
    }
    /// How consistent the backups of a vault are.
    ConsistentLevel {
        /// As after a power cut.
        Crash = "crash_consistent",
        /// Applications take part (Huawei).
        Application = "app_consistent",
    }
    /// How a vault is paid for.
    ChargingMode {
        /// By use.
        PostPaid = "post_paid",
        /// In advance.
        PrePaid = "pre_paid",
    }
    /// The unit of a time paid for in advance.
    PeriodType {
        /// Months.
        Month = "month",
        /// Years.
        Year = "year",
    }
    /// Where a vault lies.
    CloudType {
        /// In the cloud.
        Public = "public",
        /// Partly outside (Huawei).
        Hybrid = "hybrid",
    }
    /// How a vault stands (`§1.1`).
    VaultStatus {
        /// Ready.
        Available = "available",
        /// Being resized; all else goes on.
        Lock = "lock",
        /// The account is frozen.
        Frozen = "frozen",
        /// Going away with its backups.
        Deleting = "deleting",
        /// Broken; can be deleted.
        Error = "error",
    }
    /// What goes on with a resource of a vault (`§1.2`).
    ProtectStatus {
        /// Nothing.
        Available = "available",
        /// Its last backup failed.
        Error = "error",
        /// It is being backed up.
        Protecting = "protecting",
        /// It is being restored.
        Restoring = "restoring",
        /// It is being taken out, with its backups.
        Removing = "removing",
    }
    /// What a resource is.
    ResourceType {
        /// A server.
        Server = "OS::Nova::Server",
        /// A disk.
        Volume = "OS::Cinder::Volume",
        /// A shared file system.
        Turbo = "OS::Sfs::Turbo",
        /// A machine without virtualisation (Huawei).
        BareMetal = "OS::Ironic::BareMetalServer",
        /// A machine outside the cloud (Huawei).
        Native = "OS::Native::Server",
        /// A cloud desktop (Huawei).
        Desktop = "OS::Workspace::DesktopV2",
    }
    /// How a checkpoint stands (`§1.3`).
    CheckpointStatus {
        /// Its backups are being made.
        Protecting = "protecting",
        /// Every backup of it is good.
        Available = "available",
        /// Going away.
        Deleting = "deleting",
        /// Gone.
        Deleted = "deleted",
        /// Could not be deleted.
        ErrorDeleting = "error-deleting",
        /// A backup of it failed.
        Error = "error",
    }
    /// How a backup stands (`§1.4`).
    BackupStatus {
        /// Waits to be made.
        WaitingProtect = "waiting_protect",
        /// Being made.
        Protecting = "protecting",
        /// Complete.
        Available = "available",
        /// Waits to be restored.
        WaitingRestore = "waiting_restore",
        /// Being restored.
        Restoring = "restoring",
        /// Waits to be deleted.
        WaitingDelete = "waiting_delete",
        /// Going away.
        Deleting = "deleting",
        /// Gone.
        Deleted = "deleted",
        /// Part of a run that is still being prepared.
        Checkpointing = "checkpointing",
        /// Failed; can only be deleted.
        Error = "error",
    }
    /// How a backup came to be here.
    ImageType {
        /// It was made here.
        Backup = "backup",
        /// It was copied from another region.
        Replication = "replication",
    }
    /// What a backup can be restored from.
    RestoreMode {
        /// It cannot be restored now.
        None = "na",
        /// From the stored copy.
        Backup = "backup",
        /// From a snapshot that still exists.
        Snapshot = "snapshot",
    }
    /// What a policy does.
    OperationType {
        /// Makes checkpoints.
        Backup = "backup",
        /// Copies backups to another region.
        Replication = "replication",
    }
    /// What a task does (`§1.5`).
    TaskKind {
        /// Makes a backup.
        Backup = "backup",
        /// Restores one.
        Restore = "restore",
        /// Deletes one.
        Delete = "delete",
        /// Deletes a vault with its backups.
        VaultDelete = "vault_delete",
        /// Takes resources out of a vault.
        RemoveResource = "remove_resource",
        /// Copies a backup to another region.
        Replication = "replication",
        /// Learns of backups outside the cloud.
        Sync = "sync",
        /// Moves the day on which a vault's backups go (Huawei).
        UpdateExpirationTime = "update_expiration_time",
        /// Copies a backup (Huawei).
        Copy = "copy",
    }
    /// How a task stands (`§1.5`).
    TaskStatus {
        /// Not begun.
        Waiting = "waiting",
        /// Going on.
        Running = "running",
        /// Done.
        Success = "success",
        /// Failed; `error_info` says why.
        Failed = "failed",
        /// Took too long.
        Timeout = "timeout",
        /// There was nothing that could be done.
        Skipped = "skipped",
    }
    /// How the sharing of a backup stands (`§1.6`).
    MemberStatus {
        /// The receiver has not answered.
        Pending = "pending",
        /// The receiver has put it into a vault.
        Accepted = "accepted",
        /// The receiver does not want it.
        Rejected = "rejected",
    }
    /// How the copying of a backup to another region stands (`§1.6`).
    ReplicationStatus {
        /// Not begun.
        Waiting = "waiting_replicate",
        /// Going on.
        Replicating = "replicating",
        /// Done.
        Success = "success",
        /// Failed.
        Fail = "fail",
        /// Left out.
        Skip = "skip",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_kept() {
        for (text, want) in [
            (json!("disk"), ObjectType::Disk),
            (json!("moon"), ObjectType::Other("moon".to_owned())),
            (json!(null), ObjectType::default()),
        ] {
            let read: ObjectType = serde_json::from_value(text.clone()).expect("never refused");
            assert_eq!(read, want, "{text}");
        }
        for word in BackupStatus::KNOWN {
            assert_eq!(&BackupStatus::from(word.as_str()), word);
            assert_eq!(json!(word), json!(word.as_str()));
        }
    }
}
