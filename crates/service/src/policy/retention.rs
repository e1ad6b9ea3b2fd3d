//! Backups whose time is over: judged by `plan`, shown before and deleted after.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use emberkeep_catalog::{Change, VaultQuery};
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, CheckpointStatus, MemberStatus, Policy, PolicyBinding,
    PolicyId, ProtectType, Role, Timestamp, Vault, VaultId, VaultStatus, VolumeId,
};
use emberkeep_plan::retention::{Fate, Origin, Point, Progress, Rules, Verdict, judge, read_rules};
use emberkeep_plan::{Schedule, Zone, is_out_of_sight, is_unexpired};

use crate::access::{on_behalf, require};
use crate::error::{chain, invalid};
use crate::policy::commands::{check, edited};
use crate::race::racing;
use crate::{CbrError, PolicyEdit, Service, ServiceError};

/// What a policy would do.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Its next runs.
    pub next_runs: Vec<Timestamp>,
    /// What becomes of each backup in the vaults it is bound to, by vault, resource and age.
    pub fates: Vec<(Backup, Fate)>,
}

impl Service {
    /// Shows the next runs of a policy and the fate of every present backup, as the policy is or
    /// as it would be after `edit`.
    pub async fn preview_policy(
        &self,
        caller: &Caller,
        id: PolicyId,
        edit: PolicyEdit,
        runs: usize,
    ) -> Result<Preview, ServiceError> {
        let before = self.own_policy(caller, id).await?;
        let policy = edited(before.clone(), edit);
        require(caller, Role::Reader, "cbr:policies:get")?;
        check(&policy, self.gap_for(&before, &policy))?;
        let schedule = Schedule::of(&policy)
            .map_err(|error| invalid("trigger.properties.pattern", error.to_string()))?;
        let next_runs = schedule.next_runs(self.now()).take(runs).collect();
        let mut fates = Vec::new();
        for binding in self.catalog.policy_vaults(id).await? {
            if let Some(vault) = self.catalog.vault(place_of(&binding)).await? {
                fates.extend(self.fates_by(&vault, &binding, Some(&policy)).await?);
            }
        }
        Ok(Preview { next_runs, fates })
    }

    /// Judges what a policy decides about where it is bound: a vault's backups, or, of a policy
    /// that makes copies, those that it made, where they are.
    async fn fates_by(
        &self,
        vault: &Vault,
        binding: &PolicyBinding,
        policy: Option<&Policy>,
    ) -> Result<Vec<(Backup, Fate)>, ServiceError> {
        let mut backups = self.backups_in(vault.id).await?;
        if binding.destination_vault_id.is_some() {
            backups.retain(|copy| copy.cbr.policy_id == Some(binding.policy_id));
        }
        self.fates_of(vault, backups, policy).await
    }

    /// Refuses rules under which backups of a locked vault would go that stay now: a lock that
    /// whoever writes the rules could get around would be none.
    pub(crate) async fn refuse_dropping_locked(
        &self,
        binding: &PolicyBinding,
        before: Option<&Policy>,
        after: &Policy,
    ) -> Result<(), ServiceError> {
        let found = self.catalog.vault(place_of(binding)).await?;
        let Some(vault) = found.filter(|vault| vault.locked && after.enabled) else {
            return Ok(());
        };
        let mut going: HashSet<BackupId> = HashSet::new();
        // A disabled policy drops nothing.
        if before.is_none_or(|before| before.enabled) {
            let now = self.fates_by(&vault, binding, before).await?;
            going.extend(dropped(&now));
        }
        let then = self.fates_by(&vault, binding, Some(after)).await?;
        if dropped(&then).all(|backup| going.contains(&backup)) {
            return Ok(());
        }
        Err(CbrError::PolicyDropsLocked {
            policy: after.id,
            vault: vault.id,
        }
        .into())
    }

    /// Deletes what is over in every vault.
    pub async fn retain_all(&self) -> Result<(), ServiceError> {
        for vault in self.catalog.vaults(&VaultQuery::default()).await?.items {
            if let Err(error) = self.retain(&vault).await {
                tracing::error!(vault_id = %vault.id, error = chain(&error), "retention failed; it is tried again");
            }
        }
        Ok(())
    }

    /// Deletes what is over in some vaults.
    pub(crate) async fn retain_in(&self, vaults: BTreeSet<VaultId>) -> Result<(), ServiceError> {
        for id in vaults {
            let retained = match self.catalog.vault(id).await? {
                Some(vault) => self.retain(&vault).await,
                None => Ok(()),
            };
            if let Err(error) = retained {
                tracing::error!(vault_id = %id, error = chain(&error), "retention failed; it is tried again");
            }
        }
        Ok(())
    }

    /// Lets retention look at the vault of a backup whose task has ended. Of a run over many
    /// resources only the last one does: the run is one change of the vault.
    pub(crate) async fn retain_after(&self, id: BackupId) {
        match self.vault_of_ended_run(id).await {
            Ok(Some(vault)) => self.retention.put(vault),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(backup_id = %id, error = chain(&error), "retention could not be asked for; all vaults are looked at every hour");
            }
        }
    }

    /// Returns the vault of a backup, unless the run that it belongs to goes on.
    async fn vault_of_ended_run(&self, id: BackupId) -> Result<Option<VaultId>, ServiceError> {
        let Some(backup) = self.catalog.backup(id).await? else {
            return Ok(None);
        };
        if let Some(run) = backup.checkpoint_id
            && let Some(run) = self.catalog.checkpoint(run).await?
            && run.status == CheckpointStatus::Protecting
        {
            return Ok(None);
        }
        Ok(backup.vault_id)
    }

    async fn retain(&self, vault: &Vault) -> Result<(), ServiceError> {
        if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
            return Ok(());
        }
        if vault.protect_type == ProtectType::Replication {
            return self.retain_copies(vault).await;
        }
        let policy = self.backup_policy_of(vault.id).await?;
        // A disabled policy neither runs nor deletes.
        if policy.as_ref().is_some_and(|policy| !policy.enabled) {
            return Ok(());
        }
        let user = policy.as_ref().map_or(&vault.user_id, |p| &p.user_id);
        let caller = on_behalf(user, vault);
        for (backup, fate) in self.fates(vault, policy.as_ref()).await? {
            if let Fate::Drop { reason } = fate {
                self.drop_backup(&caller, backup.id, vault, &reason.to_string())
                    .await?;
            }
        }
        Ok(())
    }

    /// Deletes the copies in a vault whose time is over, each by the policy that made it for as
    /// long as that sends copies here; copies made by hand stay.
    async fn retain_copies(&self, vault: &Vault) -> Result<(), ServiceError> {
        let mut by_policy: BTreeMap<Option<PolicyId>, Vec<Backup>> = BTreeMap::new();
        for copy in self.backups_in(vault.id).await? {
            by_policy.entry(copy.cbr.policy_id).or_default().push(copy);
        }
        for (id, copies) in by_policy {
            let policy = match id {
                Some(id) => self.policy_sending_to(id, vault.id).await?,
                None => None,
            };
            if policy.as_ref().is_some_and(|policy| !policy.enabled) {
                continue;
            }
            let user = policy.as_ref().map_or(&vault.user_id, |p| &p.user_id);
            let caller = on_behalf(user, vault);
            for (copy, fate) in self.fates_of(vault, copies, policy.as_ref()).await? {
                if let Fate::Drop { reason } = fate {
                    self.drop_backup(&caller, copy.id, vault, &reason.to_string())
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Returns a policy if it sends copies to a vault.
    async fn policy_sending_to(
        &self,
        id: PolicyId,
        vault: VaultId,
    ) -> Result<Option<Policy>, ServiceError> {
        let bindings = self.catalog.policy_vaults(id).await?;
        if bindings
            .iter()
            .all(|b| b.destination_vault_id != Some(vault))
        {
            return Ok(None);
        }
        Ok(self.catalog.policy(id).await?)
    }

    async fn drop_backup(
        &self,
        caller: &Caller,
        id: BackupId,
        vault: &Vault,
        reason: &str,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let Some(backup) = self.catalog.backup(id).await? else {
                return Ok(());
            };
            // Used, shared or gone since it was judged: the next look decides anew.
            let shared = self.catalog.members(id).await?.iter().any(holds_it);
            let asked = self.deletion_with_parts(caller, backup).await;
            let (Ok(mut changes), false) = (asked, shared) else {
                return Ok(());
            };
            for change in &mut changes {
                if let Change::Insert(emberkeep_catalog::Row::Task(task)) = change {
                    task.vault_name = Some(vault.name.clone());
                }
            }
            self.commit(changes).await
        })
        .await?;
        tracing::info!(backup_id = %id, vault_id = %vault.id, reason, "a backup is dropped");
        Ok(())
    }

    /// Judges every backup in a vault.
    async fn fates(
        &self,
        vault: &Vault,
        policy: Option<&Policy>,
    ) -> Result<Vec<(Backup, Fate)>, ServiceError> {
        let backups = self.backups_in(vault.id).await?;
        self.fates_of(vault, backups, policy).await
    }

    /// Judges some of the backups in a vault.
    async fn fates_of(
        &self,
        vault: &Vault,
        mut backups: Vec<Backup>,
        policy: Option<&Policy>,
    ) -> Result<Vec<(Backup, Fate)>, ServiceError> {
        // A server's backup is one point, whatever it is made of. What is only out of sight is not
        // judged: it would be gone when it is there again.
        backups.retain(|backup| backup.cbr.part_of.is_none() && !is_out_of_sight(backup));
        let shared: HashSet<BackupId> = self
            .catalog
            .shares_in(vault.id)
            .await?
            .iter()
            .filter(|member| holds_it(member))
            .map(|member| member.backup_id)
            .collect();
        let (rules, zone) = match policy {
            Some(policy) => read_rules(&policy.definition, policy.zone.as_deref())
                .map_err(|error| ServiceError::Inner("reading a policy", Box::new(error)))?,
            None => (Rules::default(), Zone::UTC),
        };
        let now = self.now();
        let being_copied = self.being_copied().await?;
        let mut points = points(&backups, vault, &shared, now);
        for point in &mut points {
            point.holds.in_use |= being_copied.contains(&point.backup);
        }
        // What a person asked to be kept for a time goes when that is over, and counts for nothing.
        let (asked, others): (Vec<Point>, Vec<Point>) = points.into_iter().partition(|point| {
            point.origin == Origin::Manual
                && point.expires_at.is_some()
                && point.progress == Progress::Complete
        });
        let asked: Vec<Point> = asked
            .into_iter()
            .map(|point| Point {
                origin: Origin::Automatic,
                ..point
            })
            .collect();
        let verdicts = judge(&others, &rules, &zone, now).into_iter().chain(judge(
            &asked,
            &Rules::default(),
            &zone,
            now,
        ));
        let mut by_id: HashMap<BackupId, Backup> = backups.into_iter().map(|b| (b.id, b)).collect();
        Ok(verdicts
            .filter_map(|Verdict { backup, fate }| Some((by_id.remove(&backup)?, fate)))
            .collect())
    }

    /// Refuses to delete by hand an automatic backup in a locked vault before it expires.
    pub(crate) async fn refuse_locked(&self, backup: &Backup) -> Result<(), ServiceError> {
        let Some(vault) = backup.vault_id else {
            return Ok(());
        };
        let locked = self.catalog.vault(vault).await?.is_some_and(|v| v.locked);
        if locked && is_unexpired(backup, self.now()) {
            return Err(CbrError::BackupLocked(backup.id).into());
        }
        Ok(())
    }
}

/// Where a policy decides what stays: in the vault it is bound to, or in the one it copies to.
fn place_of(binding: &PolicyBinding) -> VaultId {
    binding.destination_vault_id.unwrap_or(binding.vault_id)
}

/// Lists what is to go of what was judged.
fn dropped(fates: &[(Backup, Fate)]) -> impl Iterator<Item = BackupId> {
    let drops = fates
        .iter()
        .filter(|(_, fate)| matches!(fate, Fate::Drop { .. }));
    drops.map(|(backup, _)| backup.id)
}

fn holds_it(member: &emberkeep_model::Member) -> bool {
    member.status != MemberStatus::Rejected
}

fn points(
    backups: &[Backup],
    vault: &Vault,
    shared: &HashSet<BackupId>,
    now: Timestamp,
) -> Vec<Point> {
    // The next backup of a resource is made from the newest one that is complete.
    let being_made: HashSet<VolumeId> = backups
        .iter()
        .filter(|b| matches!(b.state, BackupState::Queued | BackupState::Copying))
        .map(|b| b.volume_id)
        .collect();
    let mut newest: HashMap<VolumeId, &Backup> = HashMap::new();
    for backup in backups {
        if matches!(backup.state, BackupState::Available(_)) {
            let entry = newest.entry(backup.volume_id).or_insert(backup);
            if backup.data_timestamp > entry.data_timestamp {
                *entry = backup;
            }
        }
    }
    backups
        .iter()
        .filter_map(|backup| {
            let mut point = Point::of(backup)?;
            // A run copies what several runs have made, all at one time: copies are as old as what
            // they are copies of.
            if backup.cbr.replica.is_some() && point.progress == Progress::Complete {
                point.made_at = backup.data_timestamp;
            }
            point.expires_at = backup.cbr.expires_at;
            // Under a lock a time that was promised is kept; numbers go on counting.
            point.holds.locked = vault.locked
                && backup.automatic
                && backup.cbr.expires_at.is_some_and(|at| at > now);
            point.holds.shared = shared.contains(&backup.id);
            point.holds.in_use |= being_made.contains(&backup.volume_id)
                && newest
                    .get(&backup.volume_id)
                    .is_some_and(|b| b.id == backup.id);
            Some(point)
        })
        .collect()
}
