//! The nouns of Emberkeep and their states. Does no I/O, reads no clock, is never async;
//! start at `backup.rs`, whose state is the one that matters most.

mod backup;
mod checkpoint;
mod identity;
mod ids;
mod policy;
mod size;
mod task;
mod time;
mod vault;
mod volume;
mod words;

pub use backup::{Backup, BackupEvent, BackupRefused, BackupState, Sealed};
pub use checkpoint::{
    Checkpoint, CheckpointResource, CheckpointStatus, SkipReason, SkippedResource,
};
pub use identity::{Assignment, Caller, Project, Role, TokenRecord, User};
pub use ids::{
    BackupId, BadId, CheckpointId, DomainId, PolicyId, ProjectId, RoleId, SnapshotId, TaskId,
    UserId, VaultId, VolumeId, VolumeTypeId,
};
pub use policy::{Limit, OperationDefinition, OperationType, Policy, PolicyBinding};
pub use size::{ByteCount, GIB, Gib};
pub use task::{Lease, Progress, Task, TaskState, VolumeSource, Work};
pub use time::Timestamp;
pub use vault::{
    ObjectType, ProtectStatus, ProtectType, ResourceUsage, Tag, Vault, VaultResource, VaultStatus,
    VaultUsage,
};
pub use volume::{Snapshot, SnapshotStatus, Volume, VolumeStatus, VolumeType};
pub use words::UnknownWord;
