//! Copies of backups in other regions (`cbr-v3.md §2.3`, `§2.4`).
//!
//! A copy is a backup of its own, in a vault for copies: it has its own state, retention and
//! content, which lies in the other region's store. Its row is also the record of the copying.

use std::collections::{BTreeMap, HashSet};

use emberkeep_catalog::{BackupQuery, Change, Row};
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, CbrFacts, Checkpoint, CheckpointId, CheckpointResource,
    CheckpointStatus, ContentOf, ObjectType, Policy, ProtectType, Replica, Role, Synced, TaskId,
    Timestamp, Vault, VaultId, VaultStatus, VolumeChoice, Work,
};
use uuid::Uuid;

use crate::access::require;
use crate::error::vault_status;
use crate::race::racing;
use crate::{CbrError, Destination, ReplicateBackup, Service, ServiceError, VaultUse};
use emberkeep_plan::expiry;

/// A copy that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicating {
    /// What is copied.
    pub source: BackupId,
    /// The copy, whose row is the record of the copying.
    pub copy: BackupId,
    /// The task that copies.
    pub task: TaskId,
    /// What it is of.
    pub kind: ObjectType,
}

/// What a run of copies is for.
pub(crate) struct CopyRun<'a> {
    pub(crate) policy: Option<&'a Policy>,
    pub(crate) automatic: bool,
    /// Notes that a scheduled run is settled.
    pub(crate) settle: Option<Change>,
}

impl Service {
    /// Begins to copy one backup to another region.
    pub async fn replicate_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        asked: &ReplicateBackup,
    ) -> Result<Replicating, ServiceError> {
        let to = &asked.to;
        racing(|| async {
            let backup = self.backup_in_vault(caller, id).await?;
            require(caller, Role::Member, "cbr:backups:replicate")?;
            let vault = self.destination(caller, to, backup.cbr.kind).await?;
            replicable(&backup)?;
            if self.copies_of(id).await?.iter().any(|copy| {
                copy.cbr
                    .replica
                    .as_ref()
                    .is_some_and(|r| r.region == to.region)
                    && counts(copy)
            }) {
                return Err(CbrError::ReplicatedAlready {
                    backup: id,
                    region: to.region.clone(),
                }
                .into());
            }
            let mut copy = backup.clone();
            if asked.name.is_some() {
                copy.name.clone_from(&asked.name);
            }
            if asked.description.is_some() {
                copy.description.clone_from(&asked.description);
            }
            let run = CopyRun {
                policy: None,
                automatic: false,
                settle: None,
            };
            let begun = self.copies(caller, &vault, to, vec![(backup, copy)], run);
            begun.await?.pop().ok_or(ServiceError::NothingToBackUp)
        })
        .await
    }

    /// Begins to copy every backup of a vault that the other region does not have yet.
    pub async fn replicate_vault(
        &self,
        caller: &Caller,
        vault: VaultId,
        to: &Destination,
        automatic: bool,
    ) -> Result<(Vault, Vec<Replicating>), ServiceError> {
        racing(|| async {
            let source = self.own_vault(caller, vault).await?;
            require(caller, Role::Member, "cbr:vaults:replicate")?;
            let run = CopyRun {
                policy: None,
                automatic,
                settle: None,
            };
            let begun = self.copy_vault(caller, &source, to, run).await?;
            Ok((source, begun))
        })
        .await
    }

    /// Copies what is in a vault and not there yet, once.
    pub(crate) async fn copy_vault(
        &self,
        caller: &Caller,
        source: &Vault,
        to: &Destination,
        run: CopyRun<'_>,
    ) -> Result<Vec<Replicating>, ServiceError> {
        if !matches!(source.status, VaultStatus::Available | VaultStatus::Lock) {
            return Err(vault_status(source, VaultUse::BackUp));
        }
        if source.protect_type != ProtectType::Backup {
            return Err(CbrError::VaultNotReplicable(source.id).into());
        }
        let vault = self.destination(caller, to, source.object_type).await?;
        let mut wanted = Vec::new();
        for backup in self.backups_in(source.id).await? {
            if replicable(&backup).is_err() {
                continue;
            }
            let there = self.copies_of(backup.id).await?.iter().any(|copy| {
                copy.cbr
                    .replica
                    .as_ref()
                    .is_some_and(|r| r.region == to.region)
                    && counts(copy)
            });
            if !there {
                wanted.push((backup.clone(), backup));
            }
        }
        // Oldest first: each one is the next one's base.
        wanted.sort_by_key(|(backup, _)| (backup.data_timestamp, backup.id));
        self.copies(caller, &vault, to, wanted, run).await
    }

    /// Checks where copies are to go.
    pub(crate) async fn destination(
        &self,
        caller: &Caller,
        to: &Destination,
        kind: ObjectType,
    ) -> Result<Vault, ServiceError> {
        // Nobody fills the vaults of others.
        if to.project != caller.project_id && !caller.is_admin() {
            return Err(CbrError::DestinationProject(to.project.clone()).into());
        }
        let found = self.catalog.vault(to.vault).await?;
        let vault = found
            .filter(|vault| vault.project_id == to.project)
            .ok_or(CbrError::NoSuchDestination(to.vault))?;
        suits_copies(&vault, kind)?;
        if !self.regions.others.contains_key(&to.region) {
            return Err(CbrError::NoSuchRegion(to.region.clone()).into());
        }
        if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
            return Err(vault_status(&vault, VaultUse::Change));
        }
        let usage = self.catalog.vault_usage(&[vault.id]).await?.pop();
        let used = usage.unwrap_or_default().used;
        if used.0 >= vault.size.bytes().0 {
            return Err(CbrError::DestinationFull {
                vault: vault.id,
                need: 1,
            }
            .into());
        }
        Ok(vault)
    }

    /// Writes the rows of copies and the tasks that make them. The sources' rows are saved too:
    /// of two who copy the same backup at once one loses the race.
    async fn copies(
        &self,
        caller: &Caller,
        vault: &Vault,
        to: &Destination,
        wanted: Vec<(Backup, Backup)>,
        run: CopyRun<'_>,
    ) -> Result<Vec<Replicating>, ServiceError> {
        let now = self.now();
        let mut changes: Vec<Change> = run.settle.clone().into_iter().collect();
        let mut runs: BTreeMap<
            Option<CheckpointId>,
            (Backup, Vec<CheckpointResource>, CheckpointId),
        > = BTreeMap::new();
        let mut begun = Vec::new();
        for (source, model) in wanted {
            let (_, resources, checkpoint) = runs
                .entry(source.checkpoint_id)
                .or_insert_with(|| (source.clone(), Vec::new(), CheckpointId(Uuid::new_v4())));
            resources.push(CheckpointResource {
                resource_id: source.volume_id.into(),
                name: source.volume_name.clone(),
                size: source.size,
                choice: VolumeChoice::default(),
            });
            let place = Copied {
                vault,
                to,
                checkpoint: *checkpoint,
                now,
                policy: run.policy,
                automatic: run.automatic,
                own_region: &self.regions.own,
                caller,
            };
            let copy = place.copy_of(&source, &model, None);
            let mut task = self.new_task(
                caller,
                Work::Replicate {
                    backup_id: copy.id,
                    volume_id: copy.volume_id,
                },
            );
            task.backup_id = Some(copy.id);
            task.backup_name.clone_from(&copy.name);
            task.volume_name.clone_from(&source.volume_name);
            task.object_type = source.cbr.kind;
            task.vault_id = source.vault_id;
            task.vault_name = match source.vault_id {
                Some(id) => self.catalog.vault(id).await?.map(|vault| vault.name),
                None => None,
            };
            task.checkpoint_id = source.checkpoint_id;
            task.policy_id = run.policy.map(|policy| policy.id);
            begun.push(Replicating {
                source: source.id,
                copy: copy.id,
                task: task.id,
                kind: source.cbr.kind,
            });
            for part in self.parts_of(&source).await? {
                let copied = place.copy_of(&part, &part, Some(copy.id));
                changes.push(Change::Insert(Row::Backup(copied)));
            }
            changes.push(Change::Insert(Row::Backup(copy)));
            changes.push(Change::Insert(Row::Task(task)));
            changes.push(Change::Save(Row::Backup(source)));
        }
        for (first, resources, id) in runs.into_values() {
            changes.push(Change::Insert(Row::Checkpoint(Checkpoint {
                id,
                project_id: vault.project_id.clone(),
                user_id: caller.user_id.clone(),
                vault_id: vault.id,
                name: first.name.clone().unwrap_or_default(),
                description: first.description,
                automatic: run.automatic,
                retention_days: None,
                status: CheckpointStatus::Protecting,
                resources,
                skipped: Vec::new(),
                created_at: now,
                updated_at: None,
                revision: 0,
            })));
        }
        // Fences against the vault being deleted meanwhile.
        changes.push(Change::Save(Row::Vault(vault.clone())));
        self.commit(changes).await?;
        Ok(begun)
    }

    /// Returns the row of a copy that the caller's project made or holds, gone ones too.
    pub async fn copy_row(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<Option<Backup>, ServiceError> {
        let found = self.catalog.backup(id).await?;
        Ok(found.filter(|copy| {
            let replica = copy.cbr.replica.as_ref();
            let made_by_us = replica.is_some_and(|r| r.source_project_id == caller.project_id);
            made_by_us || caller.sees(&copy.project_id)
        }))
    }

    /// Lists the copies of a backup, newest first.
    pub(crate) async fn copies_of(&self, id: BackupId) -> Result<Vec<Backup>, ServiceError> {
        let query = BackupQuery {
            replica_of: Some(id),
            ..BackupQuery::default()
        };
        Ok(self.catalog.backups(&query).await?.items)
    }

    /// Tells whether a backup is being copied just now.
    pub(crate) async fn is_being_copied(&self, id: BackupId) -> Result<bool, ServiceError> {
        let copies = self.copies_of(id).await?;
        Ok(copies
            .iter()
            .any(|copy| matches!(copy.state, BackupState::Queued | BackupState::Copying)))
    }

    /// Lists the backups among `ids` that are being copied just now.
    pub(crate) async fn being_copied(&self) -> Result<HashSet<BackupId>, ServiceError> {
        if self.regions.others.is_empty() {
            return Ok(HashSet::new());
        }
        let query = BackupQuery {
            replicas: Some(true),
            states: vec![BackupState::Queued.word(), BackupState::Copying.word()],
            ..BackupQuery::default()
        };
        let copies = self.catalog.backups(&query).await?.items;
        Ok(copies
            .into_iter()
            .filter_map(|copy| copy.cbr.replica.map(|replica| replica.source_backup_id))
            .collect())
    }

    /// Asks for the rows of a vault for copies to be brought in line with the other regions' stores:
    /// copies that no row knows get one, and rows whose copy is gone say so.
    pub async fn sync_replicas(
        &self,
        caller: &Caller,
        vault: VaultId,
    ) -> Result<TaskId, ServiceError> {
        let vault = self.own_vault(caller, vault).await?;
        require(caller, Role::Member, "cbr:vaults:replicate")?;
        if vault.protect_type != ProtectType::Replication {
            return Err(CbrError::DestinationTakesNoReplicas(vault.id).into());
        }
        if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
            return Err(vault_status(&vault, VaultUse::Change));
        }
        let work = Work::SyncReplicas {
            vault_id: vault.id,
            found: Synced::default(),
        };
        let mut task = self.new_task(caller, work);
        task.vault_id = Some(vault.id);
        task.vault_name = Some(vault.name.clone());
        task.object_type = vault.object_type;
        let id = task.id;
        self.commit(vec![Change::Insert(Row::Task(task))]).await?;
        Ok(id)
    }
}

/// What the rows of copies of one run have in common.
struct Copied<'a> {
    vault: &'a Vault,
    to: &'a Destination,
    checkpoint: CheckpointId,
    now: Timestamp,
    policy: Option<&'a Policy>,
    automatic: bool,
    own_region: &'a str,
    caller: &'a Caller,
}

impl Copied<'_> {
    /// Builds the row of a copy; `model` says what it is called.
    fn copy_of(&self, source: &Backup, model: &Backup, whole: Option<BackupId>) -> Backup {
        let id = BackupId(Uuid::new_v4());
        let (content_project, _) = source.content();
        // The other region keeps it under the key of the project whose content it is.
        let content = (*content_project != self.vault.project_id).then(|| ContentOf {
            project_id: content_project.clone(),
            backup_id: id,
        });
        let mut backup = source.clone();
        backup.id = id;
        backup.project_id = self.vault.project_id.clone();
        backup.user_id = self.caller.user_id.clone();
        backup.vault_id = Some(self.vault.id);
        backup.checkpoint_id = Some(self.checkpoint);
        backup.parent_id = None;
        backup.snapshot_id = None;
        backup.name = model.name.clone();
        backup.description = model.description.clone();
        backup.automatic = self.automatic;
        backup.state = BackupState::Queued;
        backup.fail_reason = None;
        backup.restore_volume_id = None;
        backup.created_at = self.now;
        backup.updated_at = None;
        backup.deleted_at = None;
        backup.damage = None;
        backup.content = content;
        backup.cbr = CbrFacts {
            kind: source.cbr.kind,
            part_of: whole,
            server: source.cbr.server.clone(),
            policy_id: self.policy.map(|policy| policy.id),
            expires_at: expiry(self.policy, self.now),
            replica: Some(Replica {
                region: self.to.region.clone(),
                source_region: self.own_region.to_owned(),
                source_project_id: source.project_id.clone(),
                source_backup_id: source.id,
                source_checkpoint_id: source.checkpoint_id,
                source_vault_id: source.vault_id,
                source_name: source.name.clone(),
            }),
        };
        backup.revision = 0;
        backup
    }
}

/// Tells whether a copy stands, or is on its way: one that failed is made again.
fn counts(copy: &Backup) -> bool {
    !matches!(
        copy.state,
        BackupState::Failed { .. }
            | BackupState::DeleteQueued
            | BackupState::Deleting
            | BackupState::Deleted
    )
}

/// Refuses what cannot be copied.
fn replicable(backup: &Backup) -> Result<(), ServiceError> {
    if backup.cbr.replica.is_some() {
        return Err(CbrError::ReplicaOfReplica(backup.id).into());
    }
    if backup.cbr.part_of.is_some() || backup.cinder.foreign.is_some() {
        return Err(CbrError::NotReplicable(backup.id).into());
    }
    match &backup.state {
        BackupState::Available(_)
        | BackupState::RestoreQueued { .. }
        | BackupState::Restoring { .. } => Ok(()),
        other => Err(CbrError::ReplicaStatus {
            id: backup.id,
            state: other.word(),
        }
        .into()),
    }
}

/// Refuses a vault that does not take copies of backups of `kind`.
fn suits_copies(vault: &Vault, kind: ObjectType) -> Result<(), ServiceError> {
    if vault.protect_type != ProtectType::Replication {
        return Err(CbrError::DestinationTakesNoReplicas(vault.id).into());
    }
    if vault.object_type != kind {
        return Err(CbrError::DestinationCheck(vault.id).into());
    }
    Ok(())
}
