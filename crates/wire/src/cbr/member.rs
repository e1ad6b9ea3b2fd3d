//! The sharing of a backup, as CBR shows it (`cbr-v3.md §2.7`). Server and clients share this shape.

use emberkeep_model as model;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::word;
use crate::ids::{BackupId, MemberId, ProjectId, VaultId};
use crate::lenient;
use crate::time::Moment;

/// The sharing of one backup with one other project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Member {
    /// The id of this record.
    pub id: MemberId,
    /// The backup.
    pub backup_id: BackupId,
    /// The project it is shared with; also names the sharing in addresses.
    pub dest_project_id: ProjectId,
    /// What that project says to it.
    pub status: word::MemberStatus,
    /// When it was shared.
    pub created_at: Moment,
    /// When the receiver last answered.
    #[serde(deserialize_with = "lenient::maybe")]
    pub updated_at: Option<Moment>,
    /// The image that the receiver made of it.
    pub image_id: Option<String>,
    /// The vault that the receiver put it into.
    #[serde(deserialize_with = "lenient::maybe")]
    pub vault_id: Option<VaultId>,
    /// What other clouds say besides.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Member {
    /// Shows a share.
    pub fn of(member: &model::Member) -> Self {
        Self {
            id: member.id.into(),
            backup_id: member.backup_id.into(),
            dest_project_id: (&member.dest_project_id).into(),
            status: member.status.as_str().into(),
            created_at: member.created_at.into(),
            updated_at: member.updated_at.map(Into::into),
            image_id: None,
            vault_id: member.vault_id.map(Into::into),
            more: Map::new(),
        }
    }
}
