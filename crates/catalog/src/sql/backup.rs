//! The row of a backup: its state is a word and the facts that belong to it.

use emberkeep_model::{Backup, BackupState, CbrFacts, ContentOf, Sealed, VolumeId};

use super::row::{Cells, Stored};
use super::value::{Bind, Field};

impl Stored for Backup {
    const TABLE: &'static str = "backups";
    const NOUN: &'static str = "backup";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "project_id",
        "user_id",
        "volume_id",
        "volume_name",
        "snapshot_id",
        "vault_id",
        "checkpoint_id",
        "parent_id",
        "name",
        "description",
        "container",
        "availability_zone",
        "metadata",
        "size",
        "automatic",
        "state",
        "sealed_at",
        "bytes_read",
        "bytes_data",
        "bytes_new",
        "bytes_stored",
        "restore_target",
        "reason",
        "fail_reason",
        "restore_volume_id",
        "data_timestamp",
        "created_at",
        "updated_at",
        "deleted_at",
        "content_project",
        "content_id",
        "cinder",
        "policy_id",
        "expires_at",
        "kind",
        "part_of",
        "server",
        "replica",
        "replica_of",
        "damage",
        "revision",
    ];

    fn binds(&self) -> Vec<Bind> {
        let sealed = self.state.sealed();
        let (target, reason) = facts(&self.state);
        vec![
            self.id.to_bind(),
            self.project_id.to_bind(),
            self.user_id.to_bind(),
            self.volume_id.to_bind(),
            self.volume_name.to_bind(),
            self.snapshot_id.to_bind(),
            self.vault_id.to_bind(),
            self.checkpoint_id.to_bind(),
            self.parent_id.to_bind(),
            self.name.to_bind(),
            self.description.to_bind(),
            self.container.to_bind(),
            self.availability_zone.to_bind(),
            self.metadata.to_bind(),
            self.size.to_bind(),
            self.automatic.to_bind(),
            self.state.word().to_owned().to_bind(),
            sealed.map(|s| s.at).to_bind(),
            sealed.map(|s| s.read).to_bind(),
            sealed.map(|s| s.data).to_bind(),
            sealed.map(|s| s.new).to_bind(),
            sealed.map(|s| s.stored).to_bind(),
            target.to_bind(),
            reason.to_bind(),
            self.fail_reason.to_bind(),
            self.restore_volume_id.to_bind(),
            self.data_timestamp.to_bind(),
            self.created_at.to_bind(),
            self.updated_at.to_bind(),
            self.deleted_at.to_bind(),
            self.content
                .as_ref()
                .map(|c| c.project_id.clone())
                .to_bind(),
            self.content.as_ref().map(|c| c.backup_id).to_bind(),
            self.cinder.to_bind(),
            self.cbr.policy_id.to_bind(),
            self.cbr.expires_at.to_bind(),
            self.cbr.kind.to_bind(),
            self.cbr.part_of.to_bind(),
            self.cbr.server.to_bind(),
            self.cbr.replica.to_bind(),
            self.cbr
                .replica
                .as_ref()
                .map(|r| r.source_backup_id)
                .to_bind(),
            self.damage.to_bind(),
            self.revision.to_bind(),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, String> {
        Ok(Self {
            id: cells.take("id")?,
            project_id: cells.take("project_id")?,
            user_id: cells.take("user_id")?,
            volume_id: cells.take("volume_id")?,
            volume_name: cells.take("volume_name")?,
            snapshot_id: cells.take("snapshot_id")?,
            vault_id: cells.take("vault_id")?,
            checkpoint_id: cells.take("checkpoint_id")?,
            parent_id: cells.take("parent_id")?,
            name: cells.take("name")?,
            description: cells.take("description")?,
            container: cells.take("container")?,
            availability_zone: cells.take("availability_zone")?,
            metadata: cells.take("metadata")?,
            size: cells.take("size")?,
            automatic: cells.take("automatic")?,
            state: state(cells)?,
            fail_reason: cells.take("fail_reason")?,
            restore_volume_id: cells.take("restore_volume_id")?,
            data_timestamp: cells.take("data_timestamp")?,
            created_at: cells.take("created_at")?,
            updated_at: cells.take("updated_at")?,
            deleted_at: cells.take("deleted_at")?,
            content: content(cells)?,
            cinder: cells.take("cinder")?,
            cbr: CbrFacts {
                policy_id: cells.take("policy_id")?,
                expires_at: cells.take("expires_at")?,
                kind: cells.take("kind")?,
                part_of: cells.take("part_of")?,
                server: cells.take("server")?,
                replica: cells.take("replica")?,
            },
            damage: cells.take("damage")?,
            revision: cells.take("revision")?,
        })
    }
}

/// Returns the target of a restore and the reason of a failure, where the state has them.
fn facts(state: &BackupState) -> (Option<VolumeId>, Option<String>) {
    use BackupState as S;
    match state {
        S::RestoreQueued { target, .. } | S::Restoring { target, .. } => (Some(*target), None),
        S::Failed { reason } => (None, Some(reason.clone())),
        S::Queued
        | S::Copying
        | S::Available(_)
        | S::Damaged(_)
        | S::DeleteQueued
        | S::Deleting
        | S::Deleted => (None, None),
    }
}

/// Names the content of another backup, if both halves of the name are there.
fn content(cells: &mut Cells<'_>) -> Result<Option<ContentOf>, String> {
    match (cells.take("content_project")?, cells.take("content_id")?) {
        (None, None) => Ok(None),
        (Some(project_id), Some(backup_id)) => Ok(Some(ContentOf {
            project_id,
            backup_id,
        })),
        _ => Err("content_id: half of the name is missing".to_owned()),
    }
}

/// Puts a state together again; each must have exactly its own facts.
fn state(cells: &mut Cells<'_>) -> Result<BackupState, String> {
    use BackupState as S;
    let word: String = cells.take("state")?;
    let sealed = sealed(cells)?;
    let target = cells.take("restore_target")?;
    let reason = cells.take("reason")?;
    match (word.as_str(), sealed, target, reason) {
        ("queued", None, None, None) => Ok(S::Queued),
        ("copying", None, None, None) => Ok(S::Copying),
        ("available", Some(sealed), None, None) => Ok(S::Available(sealed)),
        ("damaged", Some(sealed), None, None) => Ok(S::Damaged(sealed)),
        ("restore-queued", Some(sealed), Some(target), None) => {
            Ok(S::RestoreQueued { sealed, target })
        }
        ("restoring", Some(sealed), Some(target), None) => Ok(S::Restoring { sealed, target }),
        ("delete-queued", None, None, None) => Ok(S::DeleteQueued),
        ("deleting", None, None, None) => Ok(S::Deleting),
        ("deleted", None, None, None) => Ok(S::Deleted),
        ("failed", None, None, Some(reason)) => Ok(S::Failed { reason }),
        (word, ..) => Err(format!(
            "state '{word}' is unknown or has not the facts it must have"
        )),
    }
}

fn sealed(cells: &mut Cells<'_>) -> Result<Option<Sealed>, String> {
    let at = cells.take("sealed_at")?;
    let read = cells.take("bytes_read")?;
    let data = cells.take("bytes_data")?;
    let new = cells.take("bytes_new")?;
    let stored = cells.take("bytes_stored")?;
    match (at, read, data, new, stored) {
        (None, None, None, None, None) => Ok(None),
        (Some(at), Some(read), Some(data), Some(new), Some(stored)) => Ok(Some(Sealed {
            at,
            read,
            data,
            new,
            stored,
        })),
        _ => Err("sealed_at: some of what is known of the content is missing".to_owned()),
    }
}
