//! Quotas (`cinder-backup.md §2.7`): how much a project may have.
//!
//! What a project has is counted from its rows, so nothing can drift and nothing has to be given
//! back: a row that is not there takes nothing. Whoever adds a row saves the project's quota row
//! in the same change; of two who counted at once, one finds it changed and counts again.

pub(crate) mod defaults;

use std::collections::BTreeMap;

use emberkeep_catalog::{CatalogError, Change, Row};
use emberkeep_model::{
    Caller, ProjectId, QuotaClass, QuotaSet, QuotaUsage, VolumeType, VolumeTypeId,
};
use tokio::sync::MutexGuard;

use crate::quotas::defaults::{DefaultQuotas, TURNS};
use crate::race::racing;
use crate::refusal::Refusal;
use crate::{Service, ServiceError};

/// The class that counts for every project.
const DEFAULT_CLASS: &str = "default";
/// One resource of a project: how much it may have and how much it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaLine {
    /// Its name, such as `backups` or `gigabytes_<type>`.
    pub name: String,
    /// −1 is no limit.
    pub limit: i64,
    /// What it has.
    pub in_use: u64,
}

/// What is about to be added to a project.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Need {
    pub(crate) volumes: u64,
    pub(crate) snapshots: u64,
    pub(crate) gigabytes: u64,
    pub(crate) backups: u64,
    pub(crate) backup_gigabytes: u64,
    /// The type of the volumes and snapshots.
    pub(crate) volume_type: Option<VolumeTypeId>,
    /// The size of the volume itself, where one is made or grows.
    pub(crate) volume_size: Option<u32>,
}

impl Service {
    /// Waits until nobody else of this process adds to the project.
    pub(crate) async fn quota_turn(&self, project: &ProjectId) -> MutexGuard<'_, ()> {
        let sum = project.as_str().bytes().fold(0usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        self.turns[sum % TURNS].lock().await
    }

    /// Refuses what is more than the project may have; else returns the change that must be
    /// committed with what is added. Call it within the project's turn.
    pub(crate) async fn reserve(
        &self,
        project: &ProjectId,
        need: Need,
    ) -> Result<Change, ServiceError> {
        let guard = self.quota_row(project).await?;
        let usage = self.catalog.quota_usage(project).await?;
        let types = self.catalog.volume_types().await?;
        let limits = self.limits(&guard).await?;
        let limit = |name: &str| limits.of(name);
        if let Some(size) = need.volume_size {
            let most = limit("per_volume_gigabytes");
            if most >= 0 && i64::from(size) > most {
                return Err(Refusal::VolumeTooLarge { size, limit: most }.into());
            }
        }
        let of_type = need.volume_type.and_then(|id| {
            types
                .iter()
                .find(|t| t.id == id)
                .map(|t| (t.name.as_str(), id))
        });
        let total = usage.total();
        let typed = |(name, id): (&str, VolumeTypeId)| {
            (
                name.to_owned(),
                usage.types.get(&id).copied().unwrap_or_default(),
            )
        };
        let typed = of_type.map(typed);
        let over = |limit: i64, have: u64, add: u64| {
            add > 0 && u64::try_from(limit).is_ok_and(|limit| have.saturating_add(add) > limit)
        };
        // Sizes first, then counts, as Cinder looks at them.
        let quota = limit("backup_gigabytes");
        if over(quota, usage.backup_gigabytes, need.backup_gigabytes) {
            return Err(Refusal::BackupsTooLarge {
                requested: need.backup_gigabytes,
                quota,
                consumed: usage.backup_gigabytes,
            }
            .into());
        }
        let mut sizes = vec![("gigabytes".to_owned(), total.gigabytes())];
        sizes.extend(
            typed
                .iter()
                .map(|(n, u)| (format!("gigabytes_{n}"), u.gigabytes())),
        );
        for (name, consumed) in sizes {
            let quota = limit(&name);
            if over(quota, consumed, need.gigabytes) {
                return Err(Refusal::VolumesTooLarge {
                    name,
                    requested: need.gigabytes,
                    quota,
                    consumed,
                }
                .into());
            }
        }
        let allowed = limit("backups");
        if over(allowed, usage.backups, need.backups) {
            return Err(Refusal::TooManyBackups { allowed }.into());
        }
        let mut volumes = vec![("volumes".to_owned(), total.volumes)];
        volumes.extend(
            typed
                .iter()
                .map(|(n, u)| (format!("volumes_{n}"), u.volumes)),
        );
        for (name, have) in volumes {
            let allowed = limit(&name);
            if over(allowed, have, need.volumes) {
                return Err(Refusal::TooManyVolumes { allowed, name }.into());
            }
        }
        let mut snapshots = vec![("snapshots".to_owned(), total.snapshots)];
        snapshots.extend(
            typed
                .iter()
                .map(|(n, u)| (format!("snapshots_{n}"), u.snapshots)),
        );
        for (name, have) in snapshots {
            let allowed = limit(&name);
            if over(allowed, have, need.snapshots) {
                return Err(Refusal::TooManySnapshots { allowed }.into());
            }
        }
        Ok(Change::Save(Row::QuotaSet(guard)))
    }

    /// Returns the project's row, making it where it is missing.
    async fn quota_row(&self, project: &ProjectId) -> Result<QuotaSet, ServiceError> {
        loop {
            if let Some(row) = self.catalog.quota_set(project).await? {
                return Ok(row);
            }
            let row = QuotaSet {
                project_id: project.clone(),
                limits: BTreeMap::new(),
                revision: 0,
            };
            let made = self
                .catalog
                .apply(vec![Change::Insert(Row::QuotaSet(row))])
                .await;
            match made {
                // Somebody was faster; theirs is as good.
                Ok(()) | Err(CatalogError::Exists { .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
    }

    async fn limits(&self, set: &QuotaSet) -> Result<Limits, ServiceError> {
        let class = self.catalog.quota_class(DEFAULT_CLASS).await?;
        Ok(Limits {
            own: set.limits.clone(),
            class: class.map(|c| c.limits).unwrap_or_default(),
            defaults: self.settings.quotas,
        })
    }

    /// Shows what a project may have and has, in Cinder's order; a member sees only their own.
    pub async fn quota_set(
        &self,
        caller: &Caller,
        project: &ProjectId,
    ) -> Result<Vec<QuotaLine>, ServiceError> {
        self.allow(caller, "volume_extension:quotas:show")?;
        if !caller.sees(project) {
            return Err(ServiceError::Policy {
                rule: "volume_extension:quotas:show",
            });
        }
        self.quota_lines(project).await
    }

    /// Returns what a project may have and has; limits are nobody's secret.
    pub async fn quota_lines(&self, project: &ProjectId) -> Result<Vec<QuotaLine>, ServiceError> {
        let set = self.catalog.quota_set(project).await?;
        let set = set.unwrap_or_else(|| QuotaSet {
            project_id: project.clone(),
            limits: BTreeMap::new(),
            revision: 0,
        });
        let limits = self.limits(&set).await?;
        let usage = self.catalog.quota_usage(project).await?;
        let mut types = self.catalog.volume_types().await?;
        types.retain(|one| concerns(one, project, &usage));
        Ok(lines(&limits, &usage, &types))
    }

    /// Shows what every project may have of which nothing is set.
    pub async fn quota_defaults(&self, caller: &Caller) -> Result<Vec<QuotaLine>, ServiceError> {
        self.allow(caller, "volume_extension:quotas:show")?;
        let mut types = self.catalog.volume_types().await?;
        let unused = QuotaUsage::default();
        types.retain(|one| concerns(one, &caller.project_id, &unused));
        self.default_lines_of(&types).await
    }

    async fn default_lines(&self) -> Result<Vec<QuotaLine>, ServiceError> {
        let types = self.catalog.volume_types().await?;
        self.default_lines_of(&types).await
    }

    async fn default_lines_of(&self, types: &[VolumeType]) -> Result<Vec<QuotaLine>, ServiceError> {
        let nobody = QuotaSet {
            project_id: uuid::Uuid::nil().into(),
            limits: BTreeMap::new(),
            revision: 0,
        };
        let limits = self.limits(&nobody).await?;
        Ok(lines(&limits, &QuotaUsage::default(), types))
    }

    /// Says what a project may have; what is not named stays.
    pub async fn set_quotas(
        &self,
        caller: &Caller,
        project: &ProjectId,
        wanted: &BTreeMap<String, i64>,
    ) -> Result<Vec<QuotaLine>, ServiceError> {
        // As Cinder has it: keys before roles.
        let known = self.default_lines().await?;
        if let Some(strange) = strange(&known, wanted) {
            return Err(Refusal::NoSuchQuota(strange).into());
        }
        self.allow(caller, "volume_extension:quotas:update")?;
        racing(|| async {
            let _turn = self.quota_turn(project).await;
            let mut row = self.quota_row(project).await?;
            let limits = self.limits(&row).await?;
            let usage = self.catalog.quota_usage(project).await?;
            let types = self.catalog.volume_types().await?;
            let known = lines(&limits, &usage, &types);
            for line in &known {
                let Some(limit) = wanted.get(&line.name) else {
                    continue;
                };
                if u64::try_from(*limit).is_ok_and(|limit| limit < line.in_use) {
                    return Err(Refusal::QuotaBelowUsage {
                        name: line.name.clone(),
                        usage: line.in_use,
                        limit: *limit,
                    }
                    .into());
                }
            }
            row.limits.extend(wanted.clone());
            let limits = self.limits(&row).await?;
            self.commit(vec![Change::Save(Row::QuotaSet(row))]).await?;
            let mut types = types;
            types.retain(|one| concerns(one, project, &usage));
            Ok(lines(&limits, &usage, &types))
        })
        .await
    }

    /// Forgets what was set for a project.
    pub async fn reset_quotas(
        &self,
        caller: &Caller,
        project: &ProjectId,
    ) -> Result<(), ServiceError> {
        self.allow(caller, "volume_extension:quotas:delete")?;
        racing(|| async {
            let _turn = self.quota_turn(project).await;
            let mut row = self.quota_row(project).await?;
            row.limits.clear();
            self.commit(vec![Change::Save(Row::QuotaSet(row))]).await
        })
        .await
    }

    /// Shows what a class says; only `default` counts, any other is kept and says nothing.
    pub async fn quota_class(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<QuotaLine>, ServiceError> {
        self.allow(caller, "volume_extension:quota_classes:get")?;
        self.class_lines(name).await
    }

    async fn class_lines(&self, name: &str) -> Result<Vec<QuotaLine>, ServiceError> {
        let mut lines = self.default_lines().await?;
        if let Some(class) = self.catalog.quota_class(name).await? {
            for line in &mut lines {
                if let Some(limit) = class.limits.get(&line.name) {
                    line.limit = *limit;
                }
            }
        }
        Ok(lines)
    }

    /// Says what a class of projects may have; what is not named stays.
    pub async fn set_quota_class(
        &self,
        caller: &Caller,
        name: &str,
        wanted: &BTreeMap<String, i64>,
    ) -> Result<Vec<QuotaLine>, ServiceError> {
        if let Some(strange) = strange(&self.default_lines().await?, wanted) {
            return Err(Refusal::NoSuchClassQuota(strange).into());
        }
        self.allow(caller, "volume_extension:quota_classes:update")?;
        racing(|| async {
            let change = match self.catalog.quota_class(name).await? {
                Some(mut class) => {
                    class.limits.extend(wanted.clone());
                    Change::Save(Row::QuotaClass(class))
                }
                None => Change::Insert(Row::QuotaClass(QuotaClass {
                    name: name.to_owned(),
                    limits: wanted.clone(),
                    revision: 0,
                })),
            };
            match self.catalog.apply(vec![change]).await {
                Err(CatalogError::Exists { .. }) => Err(ServiceError::Busy),
                other => Ok(other?),
            }
        })
        .await?;
        self.class_lines(name).await
    }
}

/// Names what nothing is called, if there is any of it.
fn strange(known: &[QuotaLine], wanted: &BTreeMap<String, i64>) -> Option<String> {
    let strange: Vec<&str> = wanted
        .keys()
        .map(String::as_str)
        .filter(|name| known.iter().all(|line| line.name != *name))
        .collect();
    (!strange.is_empty()).then(|| strange.join(","))
}

/// What counts: the project's own word, then the class's, then the default.
struct Limits {
    own: BTreeMap<String, i64>,
    class: BTreeMap<String, i64>,
    defaults: DefaultQuotas,
}

impl Limits {
    fn of(&self, name: &str) -> i64 {
        let said = self.own.get(name).or_else(|| self.class.get(name));
        said.copied().unwrap_or(match name {
            "volumes" => self.defaults.volumes,
            "snapshots" => self.defaults.snapshots,
            "gigabytes" => self.defaults.gigabytes,
            "backups" => self.defaults.backups,
            "backup_gigabytes" => self.defaults.backup_gigabytes,
            "per_volume_gigabytes" => self.defaults.per_volume_gigabytes,
            // There are none here, and clients want to see how many there may be.
            "groups" => 10,
            _ => -1,
        })
    }
}

/// Lists every resource, in Cinder's order.
/// Tells whether a project may know of a volume type: it is public, the project has access, or it has
/// volumes of it from when it had.
fn concerns(volume_type: &VolumeType, project: &ProjectId, usage: &QuotaUsage) -> bool {
    volume_type.is_public
        || volume_type.access.contains(project)
        || usage.types.contains_key(&volume_type.id)
}

fn lines(limits: &Limits, usage: &QuotaUsage, types: &[VolumeType]) -> Vec<QuotaLine> {
    let total = usage.total();
    let mut lines = Vec::with_capacity(7 + 3 * types.len());
    let mut line = |name: String, in_use: u64| {
        lines.push(QuotaLine {
            limit: limits.of(&name),
            name,
            in_use,
        });
    };
    line("volumes".into(), total.volumes);
    line("per_volume_gigabytes".into(), 0);
    line("snapshots".into(), total.snapshots);
    line("gigabytes".into(), total.gigabytes());
    line("backups".into(), usage.backups);
    line("backup_gigabytes".into(), usage.backup_gigabytes);
    for volume_type in types {
        let of = usage
            .types
            .get(&volume_type.id)
            .copied()
            .unwrap_or_default();
        line(format!("volumes_{}", volume_type.name), of.volumes);
        line(format!("gigabytes_{}", volume_type.name), of.gigabytes());
        line(format!("snapshots_{}", volume_type.name), of.snapshots);
    }
    line("groups".into(), 0);
    lines
}
