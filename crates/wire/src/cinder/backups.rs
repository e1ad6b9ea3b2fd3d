//! Backups: what is asked of them and how they are shown (`cinder-backup.md §2.3`).

use std::collections::BTreeMap;

use emberkeep_model::command::{Edit, NewBackup, RestoreTo};
use emberkeep_model::{Backup, BackupId, BackupState, Gib, SnapshotId, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema::{Kind, Rule, Shape, rule, rule_since};
use super::{Fault, Json, Link, Microversion, Site, gib};
use crate::time::Moment;
use crate::{ids, lenient};

/// Cinder keeps no more of a reason than this.
pub(super) const MAX_REASON: usize = 255;

const CREATE_RULES: [Rule; 9] = [
    rule("volume_id", Kind::Uuid),
    rule("container", Kind::Text),
    rule("description", Kind::Printable),
    rule("incremental", Kind::Flag),
    rule("force", Kind::Flag),
    rule("name", Kind::Text),
    rule("snapshot_id", Kind::UuidOrNull),
    rule_since("metadata", Kind::MetadataOrNull, 43),
    rule_since("availability_zone", Kind::Text, 51),
];
pub(super) static CREATE: Shape = Shape {
    required: &["volume_id"],
    ..Shape::new("backup", &CREATE_RULES)
};

/// Reads `POST /backups`.
pub fn new_backup(body: &Json, version: Microversion) -> Result<NewBackup, Fault> {
    let fields = CREATE.check(body, version)?;
    let volume_id = fields.uuid("volume_id").map(VolumeId);
    Ok(NewBackup {
        volume_id: volume_id.ok_or_else(Fault::no_such_resource)?,
        snapshot_id: fields.uuid("snapshot_id").map(SnapshotId),
        name: fields.trimmed("name"),
        description: fields.trimmed("description"),
        container: fields.text("container"),
        availability_zone: fields.text("availability_zone"),
        incremental: fields.flag("incremental"),
        force: fields.flag("force"),
        metadata: fields.metadata("metadata").unwrap_or_default(),
    })
}

pub(super) static UPDATE: Shape = Shape::new(
    "backup",
    &[
        rule("name", Kind::Text),
        rule("description", Kind::Printable),
        rule_since("metadata", Kind::Metadata, 43),
    ],
);

/// Reads `PUT /backups/{id}`.
pub fn backup_edit(body: &Json, version: Microversion) -> Result<Edit, Fault> {
    let fields = UPDATE.check(body, version)?;
    Ok(Edit {
        name: fields.change("name"),
        description: fields.change("description"),
        metadata: fields.metadata("metadata"),
    })
}

pub(super) static RESTORE: Shape = Shape::new(
    "restore",
    &[
        rule("name", Kind::Text),
        rule("volume_id", Kind::UuidOrNull),
    ],
);

/// Reads `POST /backups/{id}/restore`.
pub fn restore_to(body: &Json, version: Microversion) -> Result<RestoreTo, Fault> {
    let fields = RESTORE.check(body, version)?;
    Ok(match fields.uuid("volume_id") {
        Some(id) => RestoreTo::Existing(VolumeId(id)),
        // Names of volumes are trimmed, and an empty one counts as not given.
        None => RestoreTo::New {
            name: fields.trimmed("name").filter(|name| !name.is_empty()),
        },
    })
}

/// Answers a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestoreStarted {
    /// Which backup.
    pub backup_id: ids::BackupId,
    /// Onto which volume.
    pub volume_id: ids::VolumeId,
    /// The volume's name, empty if it has none.
    #[serde(default, deserialize_with = "lenient::text")]
    pub volume_name: String,
}

impl RestoreStarted {
    /// Shows that `backup` is being restored to the volume.
    pub fn new(backup: BackupId, volume: VolumeId, name: Option<&str>) -> Self {
        Self {
            backup_id: backup.into(),
            volume_id: volume.into(),
            volume_name: name.unwrap_or_default().to_owned(),
        }
    }
}

/// Returns Cinder's word for a backup's state.
pub fn status_of(state: &BackupState) -> &'static str {
    match state {
        BackupState::Queued | BackupState::Copying => "creating",
        BackupState::Available(_) => "available",
        BackupState::RestoreQueued { .. } | BackupState::Restoring { .. } => "restoring",
        BackupState::DeleteQueued | BackupState::Deleting => "deleting",
        BackupState::Deleted => "deleted",
        BackupState::Damaged(_) | BackupState::Failed { .. } => "error",
    }
}

/// Returns our own words ([`BackupState::word`]) for the states that Cinder calls `status`; none if it is no
/// status that a visible backup can have.
pub fn states_shown_as(status: &str) -> &'static [&'static str] {
    match status {
        "creating" => &["queued", "copying"],
        "available" => &["available"],
        "restoring" => &["restore-queued", "restoring"],
        "deleting" => &["delete-queued", "deleting"],
        "error" => &["failed", "damaged"],
        _ => &[],
    }
}

/// Returns our own words for the states whose names at Cinder hold `text` somewhere, in any case.
pub fn states_holding(text: &str) -> Vec<&'static str> {
    let text = text.to_ascii_lowercase();
    let named = ["creating", "available", "restoring", "deleting", "error"];
    let named = named.into_iter().filter(|status| status.contains(&text));
    named.flat_map(states_shown_as).copied().collect()
}

/// How a backup stands in a short list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Where it is found.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub links: Vec<Link>,
}

impl BackupSummary {
    /// Shows `backup`.
    pub fn new(backup: &Backup, site: &Site) -> Self {
        let id = backup.id.to_string();
        Self {
            links: site.links("backups", &id),
            id,
            name: backup.name.clone(),
        }
    }
}

/// All of a backup. Clients refuse answers that hold more than their microversion's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BackupDetail {
    /// Its id.
    pub id: ids::BackupId,
    /// Its status, e.g. `available`.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// The volume's size.
    #[serde(deserialize_with = "gib")]
    pub size: Gib,
    /// How many objects it is kept in; 0 for our own: content is shared between backups, none
    /// owns objects.
    #[serde(deserialize_with = "lenient::number")]
    pub object_count: i64,
    /// The zone it lies in.
    pub availability_zone: Option<String>,
    /// Where it is kept.
    pub container: Option<String>,
    /// When it was asked for.
    pub created_at: Option<Moment>,
    /// When something about it last changed.
    pub updated_at: Option<Moment>,
    /// Its name; may be missing.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Why making it failed.
    pub fail_reason: Option<String>,
    /// Of which volume.
    pub volume_id: ids::VolumeId,
    /// Where it is found.
    #[serde(deserialize_with = "lenient::or_default")]
    pub links: Vec<Link>,
    /// Whether it was made from another one's map.
    #[serde(deserialize_with = "lenient::flag")]
    pub is_incremental: bool,
    /// Whether others need it; false for our own unless that is counted: no backup needs another
    /// one.
    #[serde(deserialize_with = "lenient::flag")]
    pub has_dependent_backups: bool,
    /// From which snapshot of it.
    pub snapshot_id: Option<ids::SnapshotId>,
    /// The instant whose content it has.
    pub data_timestamp: Option<Moment>,
    /// The tenant's own pairs; since 3.43.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// The project it belongs to; since 3.18, for administrators.
    #[serde(
        rename = "os-backup-project-attr:project_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub project_id: Option<ids::ProjectId>,
    /// Whose it is; since 3.56, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<ids::UserId>,
    /// The key that the volume is encrypted with; since 3.64, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_id: Option<String>,
    /// Everything else that a service says; nothing, of ours.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A key of this id is none.
pub(super) const NO_KEY: &str = "00000000-0000-0000-0000-000000000000";

impl BackupDetail {
    /// Shows `backup`; `admin` says whether the caller may see whose it is.
    pub fn new(backup: &Backup, site: &Site, version: Microversion, admin: bool) -> Self {
        let id = backup.id.to_string();
        let since = |minor| version >= Microversion::v3(minor);
        Self {
            status: status_of(&backup.state).to_owned(),
            size: backup.size,
            object_count: backup.cinder.object_count,
            availability_zone: backup.availability_zone.clone(),
            container: backup.container.clone(),
            created_at: Some(backup.created_at.into()),
            updated_at: backup.updated_at.map(Moment::from),
            name: backup.name.clone(),
            description: backup.description.clone(),
            fail_reason: backup
                .fail_reason
                .as_ref()
                .map(|r| r.chars().take(MAX_REASON).collect()),
            volume_id: backup.volume_id.into(),
            links: site.links("backups", &id),
            is_incremental: backup.is_incremental(),
            has_dependent_backups: backup.cinder.num_dependent_backups != 0,
            snapshot_id: backup.snapshot_id.map(Into::into),
            data_timestamp: Some(backup.data_timestamp.into()),
            metadata: since(43).then(|| backup.metadata.clone()),
            project_id: (admin && since(18)).then(|| backup.project_id.to_string().into()),
            user_id: (admin && since(56)).then(|| backup.user_id.to_string().into()),
            encryption_key_id: backup
                .cinder
                .encryption_key_id
                .clone()
                .filter(|key| since(64) && key != NO_KEY),
            id: id.into(),
            more: Map::new(),
        }
    }
}
