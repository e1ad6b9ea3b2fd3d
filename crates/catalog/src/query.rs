//! What can be asked of a list. Each list has a filter, an order and a page.

use emberkeep_model::{
    AttachmentId, AttachmentStatus, BackupId, CheckpointId, Gib, MemberStatus, MessageAction,
    MessageDetail, MessageId, ObjectType, OperationType, PolicyId, ProjectId, ProtectType,
    ResourceId, SnapshotId, TaskId, Timestamp, VaultId, VaultStatus, VolumeId,
};

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// Which part of a list is wanted.
///
/// `marker` is the last item already seen: the page begins right after it, in the list's
/// own order. A marker that is not there gives an empty page; whoever must refuse it looks it up first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging<Id> {
    /// At most so many items; all if none.
    pub limit: Option<u32>,
    /// Skip so many (after the marker, if both are given).
    pub offset: u64,
    /// The last item already seen.
    pub marker: Option<Id>,
    /// Count all matches, not only the page.
    pub with_total: bool,
    /// End the page once its rows hold so many bytes of text ([`Page::is_cut`]); never if none.
    pub max_bytes: Option<u64>,
}

impl<Id> Default for Paging<Id> {
    fn default() -> Self {
        Self {
            limit: None,
            offset: 0,
            marker: None,
            with_total: false,
            max_bytes: None,
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many match in all, if asked for.
    pub total: Option<u64>,
    /// Whether it ended early because of [`Paging::max_bytes`]: more may follow the last item.
    pub is_cut: bool,
}

/// How rows can be sorted. Every order ends with `created_at`, then `id`, both in the direction of the
/// first key (newest first if there is none), so that it is total.
pub type Sort<Field> = Vec<(Field, Direction)>;

/// A column that volumes can be sorted and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub enum VolumeField {
    CreatedAt,
    UpdatedAt,
    Id,
    ProjectId,
    UserId,
    Name,
    Description,
    Size,
    Status,
    AvailabilityZone,
    Bootable,
    VolumeTypeId,
    SnapshotId,
    SourceVolumeId,
}

/// A condition on a column, read as text. What lists have no condition of their own for, no index may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFilter<F> {
    /// Which column.
    pub field: F,
    /// What it must be.
    pub value: String,
    /// It is enough that the column holds the value somewhere (in SQL's `LIKE`).
    pub like: bool,
}

/// How an instant stands to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the comparison it is named for")]
pub enum Comparison {
    Above,
    From,
    Equal,
    Unequal,
    Below,
    UpTo,
}

/// A condition on a column that holds an instant; where it holds none, none is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeFilter<F> {
    /// Which column.
    pub field: F,
    /// How it must stand …
    pub is: Comparison,
    /// … to this one.
    pub at: Timestamp,
}

/// Which volumes, in which order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VolumeQuery {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// With this status (Cinder's word; one that is no status matches nothing).
    pub status: Option<String>,
    /// Only these.
    pub ids: Option<Vec<VolumeId>>,
    /// In this zone.
    pub availability_zone: Option<String>,
    /// Those a system can start from, or the others.
    pub bootable: Option<bool>,
    /// Of this size.
    pub size: Option<Gib>,
    /// Made from this snapshot.
    pub snapshot: Option<SnapshotId>,
    /// Having all these pairs.
    pub metadata: Vec<(String, String)>,
    /// Meeting all of these.
    pub text: Vec<TextFilter<VolumeField>>,
    /// Meeting all of these.
    pub times: Vec<TimeFilter<VolumeField>>,
    /// Order.
    pub sort: Sort<VolumeField>,
    /// Page.
    pub paging: Paging<VolumeId>,
}

/// A column that snapshots can be sorted and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub enum SnapshotField {
    CreatedAt,
    UpdatedAt,
    Id,
    ProjectId,
    UserId,
    Name,
    Description,
    Size,
    Status,
    VolumeId,
}

/// Which snapshots, in which order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SnapshotQuery {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// Of this volume.
    pub volume: Option<VolumeId>,
    /// Having all these pairs.
    pub metadata: Vec<(String, String)>,
    /// Meeting all of these.
    pub text: Vec<TextFilter<SnapshotField>>,
    /// Order.
    pub sort: Sort<SnapshotField>,
    /// Page.
    pub paging: Paging<SnapshotId>,
}

/// A column that backups can be sorted and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub enum BackupField {
    CreatedAt,
    UpdatedAt,
    DataTimestamp,
    /// When the manifest became durable (CBR's `protected_at`).
    SealedAt,
    Id,
    ProjectId,
    UserId,
    Name,
    Description,
    Size,
    /// Our own state word.
    State,
    VolumeId,
    SnapshotId,
    ParentId,
    RestoreVolumeId,
    Container,
    AvailabilityZone,
    FailReason,
    // What Cinder keeps besides.
    Host,
    Service,
    ServiceMetadata,
    ObjectCount,
    TempVolumeId,
    TempSnapshotId,
    NumDependentBackups,
    EncryptionKeyId,
}

/// A column that attachments can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub enum AttachmentField {
    CreatedAt,
    Id,
    VolumeId,
    InstanceId,
    Host,
    Mountpoint,
    Mode,
    Status,
    AttachedAt,
}

/// A column that messages can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub enum MessageField {
    CreatedAt,
    Id,
    ResourceType,
    ResourceId,
    RequestId,
    ExpiresAt,
}

/// Which attachments, in which order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttachmentQuery {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// Of any of these volumes; empty means any.
    pub volumes: Vec<VolumeId>,
    /// Of this server.
    pub instance: Option<String>,
    /// With this status.
    pub status: Option<AttachmentStatus>,
    /// Order.
    pub sort: Sort<AttachmentField>,
    /// Page.
    pub paging: Paging<AttachmentId>,
}

/// Which messages, in which order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessageQuery {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// About this thing.
    pub resource_id: Option<String>,
    /// About things of this kind.
    pub resource_type: Option<String>,
    /// Of this request.
    pub request_id: Option<String>,
    /// Of this event: what was being done, and why it failed.
    pub event: Option<(MessageAction, MessageDetail)>,
    /// Order.
    pub sort: Sort<MessageField>,
    /// Page.
    pub paging: Paging<MessageId>,
}

/// Which backups, in which order. Deleted ones are left out unless `with_deleted`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackupQuery {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// In any of these states, by our own words ([`emberkeep_model::BackupState::word`]); empty means any.
    pub states: Vec<&'static str>,
    /// Of any of these volumes; empty means any.
    pub volumes: Vec<VolumeId>,
    /// Of a volume that had this name.
    pub volume_name: Option<String>,
    /// In this vault.
    pub vault: Option<VaultId>,
    /// In any vault.
    pub in_vaults_only: bool,
    /// Of this run.
    pub checkpoint: Option<CheckpointId>,
    /// Of this kind of thing; any if none.
    pub kind: Option<ObjectType>,
    /// Part of this backup of a server.
    pub part_of: Option<BackupId>,
    /// Without those that are part of another one.
    pub whole_only: bool,
    /// Copies of this one.
    pub replica_of: Option<BackupId>,
    /// Copies only, or none.
    pub replicas: Option<bool>,
    /// Made from this one's map.
    pub parent: Option<BackupId>,
    /// In this availability zone.
    pub availability_zone: Option<String>,
    /// Incremental ones, or full ones.
    pub incremental: Option<bool>,
    /// Asked for at this instant or later.
    pub created_from: Option<Timestamp>,
    /// Asked for at this instant or before.
    pub created_to: Option<Timestamp>,
    /// Showing the content of this one.
    pub content: Option<BackupId>,
    /// With content that the repository keeps for this project: its own backups that show no
    /// other's content, and those of any project that show its.
    pub content_of: Option<ProjectId>,
    /// Of this size.
    pub size: Option<Gib>,
    /// With the content of this instant.
    pub taken_at: Option<Timestamp>,
    /// With the content of an instant before this one.
    pub taken_before: Option<Timestamp>,
    /// Last changed at this instant.
    pub updated_at: Option<Timestamp>,
    /// Having all these pairs.
    pub metadata: Vec<(String, String)>,
    /// Meeting all of these.
    pub text: Vec<TextFilter<BackupField>>,
    /// Shared with a project.
    pub shared: Option<Shared>,
    /// Deleted ones too.
    pub with_deleted: bool,
    /// Order.
    pub sort: Sort<BackupField>,
    /// Page.
    pub paging: Paging<BackupId>,
}

/// Which shared backups.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// With this project.
    pub with: ProjectId,
    /// Answered in any of these ways; empty means any.
    pub statuses: Vec<MemberStatus>,
    /// That project's own backups too.
    pub own_too: bool,
}

/// Which servers or file systems, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryQuery<Id> {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// Only these; empty means any.
    pub ids: Vec<Id>,
    /// Page.
    pub paging: Paging<Id>,
}

impl<Id> Default for InventoryQuery<Id> {
    fn default() -> Self {
        Self {
            project: None,
            name: None,
            ids: Vec::new(),
            paging: Paging::default(),
        }
    }
}

/// Which policies, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyQuery {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// Of this kind.
    pub operation_type: Option<OperationType>,
    /// Enabled ones, or disabled ones.
    pub enabled: Option<bool>,
    /// At work on this vault.
    pub vault: Option<VaultId>,
    /// Page.
    pub paging: Paging<PolicyId>,
}

/// Which vaults, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VaultQuery {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// Only these; empty means any.
    pub ids: Vec<VaultId>,
    /// Of this object type.
    pub object_type: Option<ObjectType>,
    /// Of this protect type.
    pub protect_type: Option<ProtectType>,
    /// With this status.
    pub status: Option<VaultStatus>,
    /// Holding any of these resources; empty means any.
    pub resources: Vec<ResourceId>,
    /// That this policy is at work on.
    pub policy: Option<PolicyId>,
    /// Page.
    pub paging: Paging<VaultId>,
}

/// Which tasks, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskQuery {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// Doing any of these kinds of work ([`emberkeep_model::Work::word`]); empty means any.
    pub work: Vec<&'static str>,
    /// In any of these states ([`emberkeep_model::TaskState::word`]); empty means any.
    pub states: Vec<&'static str>,
    /// About a resource of this kind.
    pub object_type: Option<ObjectType>,
    /// About this volume, or server, or file system.
    pub volume: Option<VolumeId>,
    /// About a volume of this name.
    pub volume_name: Option<String>,
    /// About this backup.
    pub backup: Option<BackupId>,
    /// About this vault.
    pub vault: Option<VaultId>,
    /// About a vault of this name.
    pub vault_name: Option<String>,
    /// Part of this checkpoint.
    pub checkpoint: Option<CheckpointId>,
    /// Asked for at this instant or later.
    pub created_from: Option<Timestamp>,
    /// Asked for at this instant or before.
    pub created_to: Option<Timestamp>,
    /// Page.
    pub paging: Paging<TaskId>,
}
