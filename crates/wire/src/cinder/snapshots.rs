//! Snapshots: what is asked of them and how they are shown (`cinder-backup.md §2.8`).

use std::collections::BTreeMap;

use emberkeep_model::{Snapshot, SnapshotStatus, VolumeId};
use serde::{Deserialize, Serialize};

use super::schema::{Kind, Shape, rule};
use super::volumes::Nothing;
use super::{Fault, Json, Microversion};
use crate::time::naive;

/// Asks for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSnapshot {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Also of a volume in use.
    pub force: bool,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
}

static CREATE: Shape = Shape {
    required: &["volume_id"],
    ..Shape::new(
        "snapshot",
        &[
            rule("name", Kind::Text),
            rule("display_name", Kind::Text),
            rule("description", Kind::Printable),
            rule("display_description", Kind::Printable),
            rule("volume_id", Kind::Uuid),
            rule("force", Kind::FlagOrNull),
            rule("metadata", Kind::MetadataOrNull),
        ],
    )
};

impl CreateSnapshot {
    /// Reads the body of a request.
    pub fn parse(body: &Json, version: Microversion) -> Result<Self, Fault> {
        let fields = CREATE.check(body, version)?;
        let volume_id = fields.uuid("volume_id").map(VolumeId);
        Ok(Self {
            volume_id: volume_id.ok_or_else(Fault::no_such_resource)?,
            name: fields
                .trimmed("name")
                .or_else(|| fields.trimmed("display_name")),
            description: fields
                .trimmed("description")
                .or_else(|| fields.trimmed("display_description")),
            force: fields.flag("force"),
            metadata: fields.metadata("metadata").unwrap_or_default(),
        })
    }
}

/// Changes of a snapshot; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSnapshot {
    /// The new name; `Some(None)` clears it.
    pub name: Option<Option<String>>,
    /// The new text; `Some(None)` clears it.
    pub description: Option<Option<String>>,
}

static UPDATE: Shape = Shape {
    some_since: Some(Microversion::MIN),
    ..Shape::new(
        "snapshot",
        &[
            rule("name", Kind::Text),
            rule("description", Kind::Printable),
            rule("display_name", Kind::Text),
            rule("display_description", Kind::Printable),
        ],
    )
};

impl UpdateSnapshot {
    /// Reads the body of a request.
    pub fn parse(body: &Json, version: Microversion) -> Result<Self, Fault> {
        let fields = UPDATE.check(body, version)?;
        Ok(Self {
            name: fields
                .change("name")
                .or_else(|| fields.change("display_name")),
            description: fields
                .change("description")
                .or_else(|| fields.change("display_description")),
        })
    }
}

/// A snapshot. Clients refuse answers that hold more than their microversion's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are Cinder's own, described in its API reference"
)]
pub struct SnapshotView {
    pub id: String,
    pub created_at: String,
    pub updated_at: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub volume_id: String,
    pub status: String,
    pub size: u32,
    pub metadata: BTreeMap<String, String>,
    /// Since 3.14; always null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_snapshot_id: Option<Nothing>,
    /// Since 3.41.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Since 3.65.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumes_quota: Option<bool>,
    #[serde(
        rename = "os-extended-snapshot-attributes:progress",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub progress: Option<String>,
    #[serde(
        rename = "os-extended-snapshot-attributes:project_id",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub project_id: Option<String>,
}

impl SnapshotView {
    /// Shows `snapshot` as a short list does.
    pub fn summary(snapshot: &Snapshot) -> Self {
        Self {
            id: snapshot.id.to_string(),
            created_at: naive(snapshot.created_at),
            updated_at: snapshot.updated_at.map(naive),
            name: snapshot.name.clone(),
            description: snapshot.description.clone(),
            volume_id: snapshot.volume_id.to_string(),
            status: snapshot.status.as_str().to_owned(),
            size: snapshot.size.0,
            metadata: snapshot.metadata.clone(),
            group_snapshot_id: None,
            user_id: None,
            consumes_quota: None,
            progress: None,
            project_id: None,
        }
    }

    /// Shows `snapshot` as creating and changing it answer.
    pub fn detail(snapshot: &Snapshot, version: Microversion) -> Self {
        let since = |minor| version >= Microversion::v3(minor);
        Self {
            group_snapshot_id: since(14).then_some(Nothing),
            user_id: since(41).then(|| snapshot.user_id.to_string()),
            consumes_quota: since(65).then_some(true),
            ..Self::summary(snapshot)
        }
    }

    /// Adds what showing and listing tell besides.
    pub fn with_owner(mut self, snapshot: &Snapshot) -> Self {
        let done = match snapshot.status {
            SnapshotStatus::Creating | SnapshotStatus::Error => "0%",
            SnapshotStatus::Available
            | SnapshotStatus::BackingUp
            | SnapshotStatus::Deleting
            | SnapshotStatus::ErrorDeleting => "100%",
        };
        self.progress = Some(done.to_owned());
        self.project_id = Some(snapshot.project_id.to_string());
        self
    }
}
