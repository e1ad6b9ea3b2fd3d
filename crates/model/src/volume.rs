//! Volumes, their snapshots and types: the inventory that is backed up.

use std::collections::BTreeMap;

use crate::words::words;
use crate::{Gib, ProjectId, SnapshotId, Timestamp, UserId, VolumeId, VolumeTypeId};

words! {
    /// Where a volume stands; Cinder's own words (`cinder-backup.md §3.1`).
    VolumeStatus as "volume status" {
        /// Its bytes are being made.
        Creating = "creating",
        /// Idle and detached.
        Available = "available",
        /// Attached to something.
        InUse = "in-use",
        /// A snapshot for a backup is being taken; the status before is kept.
        BackingUp = "backing-up",
        /// A restore is writing it.
        RestoringBackup = "restoring-backup",
        /// It is being made larger.
        Extending = "extending",
        /// It is being removed.
        Deleting = "deleting",
        /// Making it failed.
        Error = "error",
        /// Removing it failed.
        ErrorDeleting = "error_deleting",
        /// A restore into it failed: its content is not to be trusted.
        ErrorRestoring = "error_restoring",
        /// Making it larger failed.
        ErrorExtending = "error_extending",
        /// A backup of it failed in a way that left it unclear.
        ErrorBackingUp = "error_backing-up",
        /// Set aside by an operator.
        Maintenance = "maintenance",
        /// Set aside for an attachment.
        Reserved = "reserved",
        /// Being attached.
        Attaching = "attaching",
        /// Being detached.
        Detaching = "detaching",
        /// Being brought under management; as all that follow, only an administrator says so here.
        Managing = "managing",
        /// Bringing it under management failed.
        ErrorManaging = "error_managing",
        /// Offered to another project.
        AwaitingTransfer = "awaiting-transfer",
        /// An image is being put on it.
        Downloading = "downloading",
        /// It is being made an image.
        Uploading = "uploading",
        /// It is being given another type.
        Retyping = "retyping",
    }
}

/// One block volume of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// Its name; may be missing.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Its size; both wires count in GiB.
    pub size: Gib,
    /// Where it stands.
    pub status: VolumeStatus,
    /// What `status` was before a backup or restore began (or how the last backup ended).
    pub previous_status: Option<VolumeStatus>,
    /// Its type.
    pub volume_type_id: Option<VolumeTypeId>,
    /// Its availability zone.
    pub availability_zone: String,
    /// Whether a system can start from it.
    pub bootable: bool,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// The snapshot it was made from.
    pub snapshot_id: Option<SnapshotId>,
    /// The volume it was cloned from.
    pub source_volume_id: Option<VolumeId>,
    /// Whether it may be written; none while nobody has said.
    pub readonly: Option<bool>,
    /// The pairs of the image it came from.
    pub image_metadata: BTreeMap<String, String>,
    /// The size it is growing to; counts against the quota from the start.
    pub growing_to: Option<Gib>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
    /// Counts changes of the row; the catalogue refuses a save based on an older one.
    pub revision: u64,
}

impl Volume {
    /// Makes a volume of which nothing else is known; `whose` are its project and its user.
    pub fn new(
        id: VolumeId,
        whose: (ProjectId, UserId),
        status: VolumeStatus,
        created_at: Timestamp,
    ) -> Self {
        let (project_id, user_id) = whose;
        Self {
            id,
            project_id,
            user_id,
            name: None,
            description: None,
            size: Gib(0),
            status,
            previous_status: None,
            volume_type_id: None,
            availability_zone: String::new(),
            bootable: false,
            metadata: BTreeMap::new(),
            snapshot_id: None,
            source_volume_id: None,
            readonly: None,
            image_metadata: BTreeMap::new(),
            growing_to: None,
            created_at,
            updated_at: None,
            revision: 0,
        }
    }
}

words! {
    /// Where a snapshot stands; Cinder's own words.
    SnapshotStatus as "snapshot status" {
        /// Being taken.
        Creating = "creating",
        /// Usable.
        Available = "available",
        /// A backup reads it.
        BackingUp = "backing-up",
        /// Being removed.
        Deleting = "deleting",
        /// Taking it failed.
        Error = "error",
        /// Removing it failed.
        ErrorDeleting = "error_deleting",
    }
}

/// A lasting snapshot of a volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The volume it was taken of.
    pub volume_id: VolumeId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who took it.
    pub user_id: UserId,
    /// Its name; may be missing.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The volume's size when it was taken.
    pub size: Gib,
    /// Where it stands.
    pub status: SnapshotStatus,
    /// How far taking it has come, in per cent.
    pub progress: u32,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
    /// See [`Volume::revision`].
    pub revision: u64,
}

/// A kind of volume.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeType {
    /// Its id.
    pub id: VolumeTypeId,
    /// Its name, unique.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whether every project sees it.
    pub is_public: bool,
    /// The operator's pairs.
    pub extra_specs: BTreeMap<String, String>,
    /// The projects that may use it though it is not public.
    pub access: Vec<ProjectId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// See [`Volume::revision`].
    pub revision: u64,
}
