//! Snapshots: what is asked of them and how they are shown (`cinder-backup.md §2.8`).

use std::collections::BTreeMap;

use emberkeep_model::command::{Edit, NewSnapshot};
use emberkeep_model::{Gib, Snapshot, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema::{Kind, Shape, rule};
use super::{Fault, Field, Json, Microversion, gib};
use crate::time::Moment;
use crate::{ids, lenient};

pub(super) static CREATE: Shape = Shape {
    required: &["volume_id"],
    ..Shape::new(
        "snapshot",
        &[
            rule("name", Kind::Text),
            rule("display_name", Kind::Text),
            rule("description", Kind::Printable),
            rule("display_description", Kind::Printable),
            rule("volume_id", Kind::UuidOrNull),
            rule("force", Kind::FlagOrNull),
            rule("metadata", Kind::MetadataOrNull),
        ],
    )
};

/// Since 3.66 a volume in use needs no force, and whoever says so is told.
const FORCE_IS_OVER: &str = "Since microversion 3.66 the 'force' flag is invalid for this request. For backward compatibility, however, when the 'force' flag is passed with a value evaluating to True, it is silently ignored.";

/// Reads `POST /snapshots`. Since 3.66 a volume in use needs no force.
pub fn new_snapshot(body: &Json, version: Microversion) -> Result<NewSnapshot, Fault> {
    let fields = CREATE.check(body, version)?;
    let volume_id = fields.uuid("volume_id").map(VolumeId);
    let given = body.get("snapshot").and_then(|inner| inner.get("force"));
    let given = given.is_some_and(|value| !matches!(value, Json::Null));
    let needs_no_force = version >= Microversion::v3(66);
    let force = fields.flag("force");
    if needs_no_force && given && !force {
        return Err(Fault::bad_request(FORCE_IS_OVER));
    }
    Ok(NewSnapshot {
        volume_id: volume_id.ok_or_else(|| Fault::not_found("Volume None could not be found."))?,
        name: fields
            .trimmed("name")
            .or_else(|| fields.trimmed("display_name")),
        description: fields
            .trimmed("description")
            .or_else(|| fields.trimmed("display_description")),
        force: force || needs_no_force,
        metadata: fields.metadata("metadata").unwrap_or_default(),
    })
}

pub(super) static UPDATE: Shape = Shape {
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

/// Reads `PUT /snapshots/{id}`.
pub fn snapshot_edit(body: &Json, version: Microversion) -> Result<Edit, Fault> {
    let fields = UPDATE.check(body, version)?;
    Ok(Edit {
        name: fields.change_of("name", "display_name"),
        description: fields.change_of("description", "display_description"),
        metadata: None,
    })
}

/// A snapshot. Clients refuse answers that hold more than their microversion's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SnapshotView {
    /// Its id.
    pub id: ids::SnapshotId,
    /// When it was taken.
    pub created_at: Option<Moment>,
    /// When something about it last changed.
    pub updated_at: Option<Moment>,
    /// Its name; may be missing or empty.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Of which volume.
    pub volume_id: ids::VolumeId,
    /// Its status.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// Its size.
    #[serde(deserialize_with = "gib")]
    pub size: Gib,
    /// The tenant's own pairs.
    #[serde(deserialize_with = "lenient::or_default")]
    pub metadata: BTreeMap<String, String>,
    /// The snapshot of a group that it is part of; since 3.14.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub group_snapshot_id: Field<String>,
    /// Whose it is; since 3.41.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<ids::UserId>,
    /// Whether it counts against the quota; since 3.65.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumes_quota: Option<bool>,
    /// How far it has come, e.g. `100%`.
    #[serde(
        rename = "os-extended-snapshot-attributes:progress",
        skip_serializing_if = "Option::is_none"
    )]
    pub progress: Option<String>,
    /// The project it belongs to.
    #[serde(
        rename = "os-extended-snapshot-attributes:project_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub project_id: Option<ids::ProjectId>,
    /// Everything else that a service says; nothing, of ours.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl SnapshotView {
    /// Shows `snapshot` as a short list does.
    pub fn summary(snapshot: &Snapshot) -> Self {
        Self {
            id: snapshot.id.into(),
            created_at: Some(snapshot.created_at.into()),
            updated_at: snapshot.updated_at.map(Moment::from),
            name: snapshot.name.clone(),
            description: snapshot.description.clone(),
            volume_id: snapshot.volume_id.into(),
            status: snapshot.status.as_str().to_owned(),
            size: snapshot.size,
            metadata: snapshot.metadata.clone(),
            ..Self::default()
        }
    }

    /// Shows `snapshot` as creating and changing it answer.
    pub fn detail(snapshot: &Snapshot, version: Microversion) -> Self {
        let since = |minor| version >= Microversion::v3(minor);
        Self {
            group_snapshot_id: Field::null_if(since(14)),
            user_id: since(41).then(|| snapshot.user_id.to_string().into()),
            consumes_quota: since(65).then_some(true),
            ..Self::summary(snapshot)
        }
    }

    /// Adds what showing and listing tell besides.
    pub fn with_owner(mut self, snapshot: &Snapshot) -> Self {
        self.progress = Some(format!("{}%", snapshot.progress));
        self.project_id = Some(snapshot.project_id.to_string().into());
        self
    }
}
