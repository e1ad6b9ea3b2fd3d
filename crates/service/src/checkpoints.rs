//! Checkpoints: one run over a vault (`cbr-v3.md §2.3`).

use emberkeep_catalog::{BackupQuery, Change, Row};
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, CbrFacts, Checkpoint, CheckpointId, CheckpointResource,
    CheckpointStatus, Policy, ProtectStatus, Role, SkipReason, SkippedResource, Task, TaskState,
    Vault, VaultResource, Volume, VolumeId, VolumeStatus, Work,
};
use emberkeep_plan::backup_names;
use uuid::Uuid;

use crate::backups::backing_up;
use crate::scheduler::{Scheduled, expiry, full_is_due};
use crate::service::require;
use crate::vaults::resource_named;
use crate::{CheckpointView, NewCheckpoint, Service, ServiceError};

impl Service {
    /// Begins a run over a vault: one backup for each resource that can be backed up now.
    pub async fn create_checkpoint(
        &self,
        caller: &Caller,
        new: NewCheckpoint,
    ) -> Result<CheckpointView, ServiceError> {
        self.begin_run(caller, &new, None).await
    }

    pub(crate) async fn try_create_checkpoint(
        &self,
        caller: &Caller,
        new: &NewCheckpoint,
        scheduled: Option<&Scheduled<'_>>,
    ) -> Result<CheckpointView, ServiceError> {
        let vault = self.own_vault(caller, new.vault_id).await?;
        require(caller, Role::Member, "cbr:vaults:backup")?;
        self.vault_takes_backups(&vault).await?;
        let present = self.catalog.vault_resources(vault.id).await?;
        let mut chosen = chosen_resources(&present, &new.resources)?;
        if scheduled.is_some() {
            chosen.retain(|resource| resource.auto_protect);
        }
        let policy = match (new.policy_id, scheduled) {
            (_, Some(scheduled)) => Some(scheduled.policy.clone()),
            (Some(id), None) => Some(self.own_policy(caller, id).await?),
            (None, None) if new.automatic => self.backup_policy_of(vault.id).await?,
            (None, None) => None,
        };
        let (taken, skipped) = self.sort_out(&vault, chosen).await?;
        let now = self.now();
        let skips = |of: Option<CheckpointId>| {
            let policy_id = policy.as_ref().map(|policy| policy.id);
            skipped
                .iter()
                .map(|resource| {
                    let mut task = self.skipped_task(caller, &vault, resource);
                    task.checkpoint_id = of;
                    task.policy_id = policy_id;
                    Change::Insert(Row::Task(task))
                })
                .collect::<Vec<_>>()
        };
        if taken.is_empty() {
            if let Some(scheduled) = scheduled {
                let mut changes = skips(None);
                changes.push(scheduled.settle.clone());
                self.commit(changes).await?;
            }
            return Err(ServiceError::NothingToBackUp);
        }
        let cbr = CbrFacts {
            policy_id: policy.as_ref().map(|policy| policy.id),
            expires_at: match new.retention_days {
                Some(days) => Some(now.plus_secs(i64::from(days) * 86_400)),
                None => expiry(policy.as_ref().filter(|_| new.automatic), now),
            },
        };
        let id = CheckpointId(Uuid::new_v4());
        let skip_tasks = skips(Some(id));
        let vault = self.expanded(vault, now).await?;
        let checkpoint = Checkpoint {
            id,
            project_id: caller.project_id.clone(),
            user_id: caller.user_id.clone(),
            vault_id: vault.id,
            name: new
                .name
                .clone()
                .unwrap_or_else(|| default_name(&vault, new.automatic)),
            description: new.description.clone(),
            automatic: new.automatic,
            retention_days: new.retention_days,
            status: CheckpointStatus::Protecting,
            resources: taken
                .iter()
                .map(|(r, _)| CheckpointResource {
                    volume_id: r.volume_id,
                    name: r.name.clone(),
                    size: r.size,
                })
                .collect(),
            skipped,
            created_at: now,
            updated_at: None,
            revision: 0,
        };
        let mut changes = vec![Change::Insert(Row::Checkpoint(checkpoint.clone()))];
        let names = backup_names(&checkpoint.name, taken.len());
        for ((mut resource, volume), name) in taken.into_iter().zip(names) {
            let parent = if new.incremental && !self.wants_full(scheduled, volume.id).await? {
                self.parent_of(&caller.project_id, volume.id, None).await?
            } else {
                None
            };
            let mut backup = self.run_backup(&checkpoint, &volume, name, parent);
            backup.cbr = cbr.clone();
            let mut task = self.backup_task(
                caller,
                &backup,
                Work::Backup {
                    backup_id: backup.id,
                },
            );
            task.vault_name = Some(vault.name.clone());
            task.policy_id = cbr.policy_id;
            changes.push(Change::Insert(Row::Backup(backup)));
            changes.push(Change::Insert(Row::Task(task)));
            changes.push(Change::Save(Row::Volume(backing_up(volume, now))));
            resource.status = ProtectStatus::Protecting;
            changes.push(Change::Save(Row::VaultResource(resource)));
        }
        changes.extend(skip_tasks);
        changes.extend(scheduled.map(|scheduled| scheduled.settle.clone()));
        // Saving the vault's row fences this run against the vault being deleted meanwhile.
        changes.push(Change::Save(Row::Vault(vault.clone())));
        self.commit(changes).await?;
        let vault = Some(self.vault_view(vault).await?);
        Ok(CheckpointView { checkpoint, vault })
    }

    /// Parts the chosen resources into those that can be backed up now and the others.
    async fn sort_out(
        &self,
        vault: &Vault,
        chosen: Vec<VaultResource>,
    ) -> Result<(Vec<(VaultResource, Volume)>, Vec<SkippedResource>), ServiceError> {
        let backups = self.backups_in(vault.id).await?;
        let (mut taken, mut skipped) = (Vec::new(), Vec::new());
        for resource in chosen {
            let volume = self.catalog.volume(resource.volume_id).await?;
            match why_not(&resource, volume, &backups) {
                Ok(volume) => taken.push((resource, volume)),
                Err(reason) => skipped.push(SkippedResource {
                    volume_id: resource.volume_id,
                    name: resource.name,
                    reason,
                }),
            }
        }
        Ok((taken, skipped))
    }

    fn run_backup(
        &self,
        checkpoint: &Checkpoint,
        volume: &Volume,
        name: String,
        parent_id: Option<BackupId>,
    ) -> Backup {
        Backup {
            id: BackupId(Uuid::new_v4()),
            project_id: checkpoint.project_id.clone(),
            user_id: checkpoint.user_id.clone(),
            volume_id: volume.id,
            volume_name: volume.name.clone(),
            snapshot_id: None,
            vault_id: Some(checkpoint.vault_id),
            checkpoint_id: Some(checkpoint.id),
            parent_id,
            name: Some(name),
            description: checkpoint.description.clone(),
            container: None,
            availability_zone: Some(volume.availability_zone.clone()),
            metadata: Default::default(),
            size: volume.size,
            automatic: checkpoint.automatic,
            state: BackupState::Queued,
            fail_reason: None,
            restore_volume_id: None,
            data_timestamp: checkpoint.created_at,
            created_at: checkpoint.created_at,
            updated_at: None,
            deleted_at: None,
            content: None,
            cinder: crate::backups::cinder_facts(volume),
            cbr: Default::default(),
            revision: 0,
        }
    }

    /// Records a scheduled run that was refused, for each resource that it would have backed up.
    pub(crate) async fn refused_run(
        &self,
        caller: &Caller,
        vault: &Vault,
        policy: &Policy,
        reason: &str,
    ) -> Result<Vec<Change>, ServiceError> {
        let resources = self.catalog.vault_resources(vault.id).await?;
        let tasks = resources.into_iter().filter(|r| r.auto_protect).map(|r| {
            let resource = SkippedResource {
                volume_id: r.volume_id,
                name: r.name,
                reason: SkipReason::VolumeStatus,
            };
            let mut task = self.skipped_task(caller, vault, &resource);
            task.policy_id = Some(policy.id);
            task.state = TaskState::Skipped {
                reason: reason.to_owned(),
            };
            Change::Insert(Row::Task(task))
        });
        Ok(tasks.collect())
    }

    /// Tells whether a scheduled backup has to be a full one.
    async fn wants_full(
        &self,
        scheduled: Option<&Scheduled<'_>>,
        volume: VolumeId,
    ) -> Result<bool, ServiceError> {
        let Some(scheduled) = scheduled else {
            return Ok(false);
        };
        let query = BackupQuery {
            project: Some(scheduled.policy.project_id.clone()),
            volumes: vec![volume],
            ..BackupQuery::default()
        };
        let interval = scheduled.policy.definition.full_backup_interval;
        let newest_first = self.catalog.backups(&query).await?.items;
        Ok(full_is_due(interval, &newest_first))
    }

    fn skipped_task(&self, caller: &Caller, vault: &Vault, skipped: &SkippedResource) -> Task {
        let now = self.now();
        // The backup that would have been made is named by an id that nothing else has.
        let work = Work::Backup {
            backup_id: BackupId(Uuid::new_v4()),
        };
        let mut task = self.new_task(caller, work);
        task.state = TaskState::Skipped {
            reason: skip_text(skipped.reason).into(),
        };
        task.volume_id = Some(skipped.volume_id);
        task.volume_name = skipped.name.clone();
        task.vault_id = Some(vault.id);
        task.vault_name = Some(vault.name.clone());
        task.started_at = Some(now);
        task.ended_at = Some(now);
        task
    }

    /// Shows one checkpoint.
    pub async fn checkpoint(
        &self,
        caller: &Caller,
        id: CheckpointId,
    ) -> Result<CheckpointView, ServiceError> {
        let checkpoint = self.own_checkpoint(caller, id).await?;
        require(caller, Role::Reader, "cbr:vaults:get")?;
        if checkpoint.status == CheckpointStatus::Deleted {
            return Err(ServiceError::NoSuchCheckpoint(id));
        }
        let vault = match self.catalog.vault(checkpoint.vault_id).await? {
            Some(vault) => Some(self.vault_view(vault).await?),
            None => None,
        };
        Ok(CheckpointView { checkpoint, vault })
    }
}

fn chosen_resources(
    present: &[VaultResource],
    asked: &[String],
) -> Result<Vec<VaultResource>, ServiceError> {
    if asked.is_empty() {
        return Ok(present.to_vec());
    }
    let mut chosen: Vec<VaultResource> = Vec::new();
    for text in asked {
        let resource = resource_named(present, text)?;
        if !chosen.iter().any(|c| c.volume_id == resource.volume_id) {
            chosen.push(resource.clone());
        }
    }
    Ok(chosen)
}

/// Returns the volume of a resource that can be backed up now, or why it cannot.
fn why_not(
    resource: &VaultResource,
    volume: Option<Volume>,
    backups: &[Backup],
) -> Result<Volume, SkipReason> {
    if resource.status == ProtectStatus::Removing {
        return Err(SkipReason::Removing);
    }
    let of_it = || backups.iter().filter(|b| b.volume_id == resource.volume_id);
    if of_it().any(|b| matches!(b.state, BackupState::Queued | BackupState::Copying)) {
        return Err(SkipReason::BackupRunning);
    }
    let Some(volume) = volume else {
        return Err(SkipReason::VolumeGone);
    };
    match volume.status {
        VolumeStatus::Available | VolumeStatus::InUse => Ok(volume),
        VolumeStatus::BackingUp => Err(SkipReason::BackupRunning),
        VolumeStatus::RestoringBackup => Err(SkipReason::Restoring),
        _ => Err(SkipReason::VolumeStatus),
    }
}

/// Says why a resource was left out.
pub fn skip_text(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::BackupRunning => "A backup of this disk is running.",
        SkipReason::Restoring => "This disk is being restored.",
        SkipReason::Removing => "This disk is being removed from the vault.",
        SkipReason::VolumeStatus => "The disk is neither available nor in use.",
        SkipReason::VolumeGone => "The disk does not exist any more.",
    }
}

/// Makes a name for a run that was given none (`cbr-v3.md §2.3`).
fn default_name(vault: &Vault, automatic: bool) -> String {
    let digits = Uuid::new_v4().simple().to_string();
    let prefix = vault.backup_name_prefix.as_deref().unwrap_or_default();
    let kind = if automatic { "autobk_" } else { "manualbk_" };
    let prefix = if automatic { prefix } else { "" };
    format!("{prefix}{kind}{}", &digits[..4])
}
