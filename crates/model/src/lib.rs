//! The nouns of Emberkeep and their states. Does no I/O, reads no clock, is never async;
//! start at `backup.rs`, whose state is the one that matters most.

mod attachment;
mod backup;
mod checkpoint;
pub mod command;
mod damage;
mod file_system;
mod identity;
mod ids;
mod member;
mod message;
mod policy;
mod quota;
mod replica;
mod server;
mod size;
mod task;
mod time;
mod vault;
mod volume;
mod words;
mod worker;

pub use attachment::{Attachment, AttachmentStatus};
pub use backup::{
    Backup, BackupEvent, BackupRefused, BackupState, CbrFacts, CinderFacts, ContentOf, Foreign,
    ForeignPlace, KeptColumn, Sealed, SourceFacts,
};
pub use checkpoint::{
    Checkpoint, CheckpointResource, CheckpointStatus, SkipReason, SkippedResource,
};
pub use damage::{BackupDamage, ByteSpan, DamageFinder};
pub use file_system::FileSystem;
pub use identity::{AppCredential, Assignment, Caller, Project, Role, TokenRecord, User};
pub use ids::{
    AttachmentId, BackupId, BadId, CheckpointId, DomainId, FileSystemId, MemberId, MessageId,
    PolicyId, ProjectId, ResourceId, RoleId, ServerId, SnapshotId, TaskId, UserId, VaultId,
    VolumeId, VolumeTypeId,
};
pub use member::{Member, MemberStatus};
pub use message::{Message, MessageAction, MessageDetail};
pub use policy::{Limit, OperationDefinition, OperationType, Policy, PolicyBinding};
pub use quota::{QuotaClass, QuotaSet, QuotaUsage, ServiceSwitch, TypeUsage};
pub use replica::Replica;
pub use server::{Server, ServerFacts, ServerVolume};
pub use size::{ByteCount, GIB, Gib};
pub use task::{Emptied, Lease, Progress, Synced, Task, TaskState, VolumeSource, Work};
pub use time::Timestamp;
pub use vault::{
    IncludedVolume, ObjectType, ProtectStatus, ProtectType, ResourceUsage, Tag, Vault,
    VaultResource, VaultStatus, VaultUsage, VolumeChoice,
};
pub use volume::{Snapshot, SnapshotStatus, Volume, VolumeStatus, VolumeType};
pub use words::UnknownWord;
pub use worker::{WorkerState, WorkerStatus};
