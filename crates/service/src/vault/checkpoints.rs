//! Checkpoints: one run over a vault (`cbr-v3.md §2.3`).

use emberkeep_catalog::{BackupQuery, Change, Row};
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, CbrFacts, Checkpoint, CheckpointId, CheckpointResource,
    CheckpointStatus, ObjectType, Policy, ProtectStatus, ResourceId, Role, SkipReason,
    SkippedResource, Task, TaskState, Vault, VaultResource, Volume, VolumeChoice, VolumeId, Work,
};
use emberkeep_plan::{backup_names, expiry, full_is_due, make_room};
use uuid::Uuid;

use crate::access::require;
use crate::backup::commands::backing_up;
use crate::race::racing;
use crate::vault::commands::resource_named;
use crate::vault::resources::{Resource, takeable};
use crate::{CheckpointView, NewCheckpoint, Service, ServiceError};

/// A run that a schedule has begun.
pub(crate) struct Scheduled<'a> {
    /// The policy.
    pub(crate) policy: &'a Policy,
    /// Notes that the run is settled.
    pub(crate) settle: Change,
}

/// What became of a run.
#[derive(Debug)]
pub(crate) enum RunOutcome {
    /// It has begun.
    Begun(Box<CheckpointView>),
    /// No resource can be backed up now. A scheduled run has recorded why, and is settled.
    NothingToBackUp,
}

impl Service {
    /// Begins a run over a vault: one backup for each resource that can be backed up now.
    pub async fn create_checkpoint(
        &self,
        caller: &Caller,
        new: NewCheckpoint,
    ) -> Result<CheckpointView, ServiceError> {
        match self.begin_run(caller, &new, None).await? {
            RunOutcome::Begun(view) => Ok(*view),
            RunOutcome::NothingToBackUp => Err(ServiceError::NothingToBackUp),
        }
    }

    /// Begins a run over a vault, reading again while it loses races; a scheduled one has one try,
    /// so that it is never begun twice.
    pub(crate) async fn begin_run(
        &self,
        caller: &Caller,
        new: &NewCheckpoint,
        scheduled: Option<&Scheduled<'_>>,
    ) -> Result<RunOutcome, ServiceError> {
        match scheduled {
            Some(_) => self.try_create_checkpoint(caller, new, scheduled).await,
            None => racing(|| self.try_create_checkpoint(caller, new, None)).await,
        }
    }

    async fn try_create_checkpoint(
        &self,
        caller: &Caller,
        new: &NewCheckpoint,
        scheduled: Option<&Scheduled<'_>>,
    ) -> Result<RunOutcome, ServiceError> {
        let mut vault = self.own_vault(caller, new.vault_id).await?;
        require(caller, Role::Member, "cbr:vaults:backup")?;
        self.vault_takes_backups(&vault).await?;
        let present = self.catalog.vault_resources(vault.id).await?;
        let mut chosen = chosen_resources(&present, &new.resources)?;
        if scheduled.is_some() {
            chosen.retain(|(resource, _)| resource.auto_protect);
        }
        let policy = match (new.policy_id, scheduled) {
            (_, Some(scheduled)) => Some(scheduled.policy.clone()),
            (Some(id), None) => Some(self.own_policy(caller, id).await?),
            (None, None) if new.automatic => self.backup_policy_of(vault.id).await?,
            (None, None) => None,
        };
        let (taken, skipped) = self.sort_out(&vault, chosen).await?;
        make_room(&mut vault, room_needed(&present, &taken))?;
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
            return Ok(RunOutcome::NothingToBackUp);
        }
        let cbr = CbrFacts {
            policy_id: policy.as_ref().map(|policy| policy.id),
            expires_at: match new.retention_days {
                Some(days) => Some(now.plus_secs(i64::from(days) * 86_400)),
                None => expiry(policy.as_ref().filter(|_| new.automatic), now),
            },
            ..CbrFacts::default()
        };
        let id = CheckpointId(Uuid::new_v4());
        let skip_tasks = skips(Some(id));
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
                .map(|taken| CheckpointResource {
                    resource_id: taken.bound.resource_id,
                    name: taken.bound.name.clone(),
                    size: taken.now.size(&VolumeChoice::default()),
                    choice: taken.choice.clone(),
                })
                .collect(),
            skipped,
            created_at: now,
            updated_at: None,
            revision: 0,
        };
        let mut changes = vec![Change::Insert(Row::Checkpoint(checkpoint.clone()))];
        let names = backup_names(&checkpoint.name, taken.len());
        for (taken, name) in taken.into_iter().zip(names) {
            let (mut bound, resource) = (taken.bound, taken.now);
            let mut backups = self.backups_of_run(&checkpoint, &resource, name, &cbr);
            for backup in &mut backups {
                // Of a server nothing is read but its volumes.
                let reads = backup.cbr.kind != ObjectType::Server;
                if reads && new.incremental && !self.wants_full(scheduled, backup.volume_id).await?
                {
                    let newest = self.parent_of(&caller.project_id, backup.volume_id, None);
                    backup.parent_id = newest.await?;
                }
            }
            // A server's backup is the first, and its task makes all of them.
            let Some(whole) = backups.first_mut() else {
                continue;
            };
            let work = Work::Backup {
                backup_id: whole.id,
            };
            let mut task = self.backup_task(caller, whole, work);
            task.vault_name = Some(vault.name.clone());
            task.policy_id = cbr.policy_id;
            changes.push(Change::Insert(Row::Task(task)));
            changes.extend(backups.into_iter().map(|b| Change::Insert(Row::Backup(b))));
            match resource {
                Resource::Volume(volume) => {
                    changes.push(Change::Save(Row::Volume(backing_up(volume, now))));
                }
                Resource::Server(server, volumes) => {
                    changes.extend(
                        volumes
                            .into_iter()
                            .map(|volume| Change::Save(Row::Volume(backing_up(volume, now)))),
                    );
                    // Fences against a volume being added or removed meanwhile.
                    changes.push(Change::Save(Row::Server(server)));
                }
                Resource::FileSystem(system) => {
                    changes.push(Change::Save(Row::FileSystem(system)));
                }
            }
            bound.status = ProtectStatus::Protecting;
            changes.push(Change::Save(Row::VaultResource(bound)));
        }
        changes.extend(skip_tasks);
        changes.extend(scheduled.map(|scheduled| scheduled.settle.clone()));
        // Saving the vault's row fences this run against the vault being deleted meanwhile.
        changes.push(Change::Save(Row::Vault(vault.clone())));
        self.commit(changes).await?;
        let vault = Some(self.vault_view(vault).await?);
        let view = CheckpointView { checkpoint, vault };
        Ok(RunOutcome::Begun(Box::new(view)))
    }

    /// Parts the chosen resources into those that can be backed up now and the others.
    async fn sort_out(
        &self,
        vault: &Vault,
        chosen: Vec<Chosen>,
    ) -> Result<(Vec<Taken>, Vec<SkippedResource>), ServiceError> {
        let backups = self.backups_in(vault.id).await?;
        let (mut taken, mut skipped) = (Vec::new(), Vec::new());
        for (mut bound, choice) in chosen {
            let kind = vault.object_type;
            let found = self.resource(kind, bound.resource_id).await?;
            let choice = choice.unwrap_or_else(|| bound.choice.clone());
            match takeable(&bound, kind, found, &choice, &backups) {
                Ok(now) => {
                    // A directory grows by means that we do not see.
                    if let Resource::FileSystem(system) = &now {
                        bound.size = system.size;
                    }
                    taken.push(Taken { bound, now, choice });
                }
                Err(reason) => skipped.push(SkippedResource {
                    resource_id: bound.resource_id,
                    name: bound.name,
                    reason,
                }),
            }
        }
        Ok((taken, skipped))
    }

    /// Builds the backups of one resource: one, or for a server its own and one for each volume.
    fn backups_of_run(
        &self,
        checkpoint: &Checkpoint,
        resource: &Resource,
        name: String,
        cbr: &CbrFacts,
    ) -> Vec<Backup> {
        let of_volume = |volume: &Volume, name: String, cbr: CbrFacts| {
            let mut backup = run_backup(checkpoint, volume.id.into(), name, cbr);
            backup.volume_name.clone_from(&volume.name);
            backup.size = volume.size;
            backup.availability_zone = Some(volume.availability_zone.clone());
            backup.cinder = crate::backup::commands::cinder_facts(volume);
            backup
        };
        let of_kind = |kind: ObjectType| {
            let mut backup = run_backup(checkpoint, resource.id(), name.clone(), cbr.clone());
            backup.cbr.kind = kind;
            backup.volume_name = resource.name();
            backup.size = resource.size(&VolumeChoice::default());
            backup.availability_zone = Some(self.settings.availability_zone.clone());
            backup
        };
        match resource {
            Resource::Volume(volume) => vec![of_volume(volume, name, cbr.clone())],
            Resource::FileSystem(_) => vec![of_kind(ObjectType::Turbo)],
            Resource::Server(server, volumes) => {
                let mut whole = of_kind(ObjectType::Server);
                whole.cbr.server = Some(server.facts.clone());
                let part = CbrFacts {
                    part_of: Some(whole.id),
                    ..cbr.clone()
                };
                let part_name = part_name(&name, &server.name);
                let mut backups = vec![whole];
                backups.extend(
                    volumes
                        .iter()
                        .map(|volume| of_volume(volume, part_name.clone(), part.clone())),
                );
                backups
            }
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
                resource_id: r.resource_id,
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
            replicas: Some(false),
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
            reason: skipped.reason.sentence(vault.object_type).into(),
        };
        task.object_type = vault.object_type;
        task.volume_id = Some(skipped.resource_id.into());
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
        let mut checkpoint = self.own_checkpoint(caller, id).await?;
        require(caller, Role::Reader, "cbr:vaults:get")?;
        // Its row follows when a backup has ended: that the last ones are going is seen here.
        let query = BackupQuery {
            checkpoint: Some(id),
            ..BackupQuery::default()
        };
        let left = self.catalog.backups(&query).await?.items;
        let goes =
            |b: &Backup| matches!(b.state, BackupState::DeleteQueued | BackupState::Deleting);
        if !left.is_empty() && left.iter().all(goes) {
            checkpoint.status = CheckpointStatus::Deleting;
        }
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

/// A resource that a run is over, and the volumes that are meant in this run alone.
type Chosen = (VaultResource, Option<VolumeChoice>);

/// A resource that takes part in a run.
struct Taken {
    bound: VaultResource,
    /// What of it is backed up, as it is now.
    now: Resource,
    /// Which volumes of a server those are.
    choice: VolumeChoice,
}

fn chosen_resources(
    present: &[VaultResource],
    asked: &[(String, Option<VolumeChoice>)],
) -> Result<Vec<Chosen>, ServiceError> {
    if asked.is_empty() {
        return Ok(present.iter().map(|r| (r.clone(), None)).collect());
    }
    let mut chosen: Vec<Chosen> = Vec::new();
    for (text, choice) in asked {
        let resource = resource_named(present, text)?;
        if !chosen
            .iter()
            .any(|(c, _)| c.resource_id == resource.resource_id)
        {
            chosen.push((resource.clone(), choice.clone()));
        }
    }
    Ok(chosen)
}

/// Sums what the resources of a vault take of its room, those of a run as large as they are now.
fn room_needed(present: &[VaultResource], taken: &[Taken]) -> u64 {
    let size = |resource: &VaultResource| {
        let now = taken
            .iter()
            .find(|taken| taken.bound.resource_id == resource.resource_id);
        u64::from(now.map_or(resource.size, |taken| taken.bound.size).0)
    };
    present.iter().map(size).sum()
}

/// Builds a backup of a run, of something that is still to be said.
fn run_backup(checkpoint: &Checkpoint, of: ResourceId, name: String, cbr: CbrFacts) -> Backup {
    let whose = (checkpoint.project_id.clone(), checkpoint.user_id.clone());
    let id = BackupId(Uuid::new_v4());
    let mut backup = Backup::new(id, whose, of.into(), checkpoint.created_at);
    backup.vault_id = Some(checkpoint.vault_id);
    backup.checkpoint_id = Some(checkpoint.id);
    backup.name = Some(name);
    backup.description.clone_from(&checkpoint.description);
    backup.automatic = checkpoint.automatic;
    backup.cbr = cbr;
    backup
}

/// Names the backup of a server's volume (`cbr-v3.md §2.3`), in no more than a name may have.
fn part_name(whole: &str, server: &str) -> String {
    format!("{whole}_{server}").chars().take(255).collect()
}

/// Makes a name for a run that was given none (`cbr-v3.md §2.3`).
fn default_name(vault: &Vault, automatic: bool) -> String {
    let digits = Uuid::new_v4().simple().to_string();
    let prefix = vault.backup_name_prefix.as_deref().unwrap_or_default();
    let kind = if automatic { "autobk_" } else { "manualbk_" };
    let prefix = if automatic { prefix } else { "" };
    format!("{prefix}{kind}{}", &digits[..4])
}
