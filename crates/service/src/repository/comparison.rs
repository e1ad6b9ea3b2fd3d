//! Compares what the catalogue shows with what the store holds.
//!
//! A backup exists if its manifest does. Where a manifest is lost the catalogue still shows the
//! backup, and what only that one names looks dead to a sweep: so every sweep is told which
//! backups there must be, and the start and the scrub look whether they are there.

use std::collections::{BTreeMap, BTreeSet};

use emberkeep_model::{Backup, BackupId, BackupState, DamageFinder, ObjectType, ProjectId};

use crate::error::chain;
use crate::query::BackupQuery;
use crate::repository::damage::found::FoundDamage;
use crate::{Service, ServiceError};

/// The states of a backup that was complete once.
const COMPLETE: [&str; 4] = ["available", "damaged", "restore-queued", "restoring"];

/// Tells whether our repository must hold a manifest of the backup's content.
pub(crate) fn has_manifest(backup: &Backup) -> bool {
    let complete = match &backup.state {
        BackupState::Available(_)
        | BackupState::Damaged(_)
        | BackupState::RestoreQueued { .. }
        | BackupState::Restoring { .. } => true,
        BackupState::Queued
        | BackupState::Copying
        | BackupState::DeleteQueued
        | BackupState::Deleting
        | BackupState::Deleted
        | BackupState::Failed { .. } => false,
    };
    // What another host's service stored lies with that one, unless it shows content of ours.
    let theirs = backup.cinder.host.is_some() && backup.content.is_none();
    // A server's backup is its parts.
    complete && !theirs && backup.foreign().is_none() && backup.cbr.kind != ObjectType::Server
}

/// The region that holds the backup's content; `None` is our own.
fn region_of(backup: &Backup) -> Option<&str> {
    let replica = backup.cbr.replica.as_ref();
    replica.map(|replica| replica.region.as_str())
}

impl Service {
    /// Returns the backups whose manifests a project's part of a region's store must hold.
    pub(crate) async fn manifests_due(
        &self,
        region: Option<&str>,
        project: &ProjectId,
    ) -> Result<BTreeSet<BackupId>, ServiceError> {
        let query = BackupQuery {
            states: COMPLETE.to_vec(),
            content_of: Some(project.clone()),
            ..BackupQuery::default()
        };
        let found = self.catalog.backups(&query).await?.items;
        let due = found
            .iter()
            .filter(|backup| has_manifest(backup) && region_of(backup) == region);
        Ok(due.map(|backup| backup.content().1).collect())
    }

    /// Returns the backups that must be in a store and are not. A backup is stored before the
    /// catalogue shows it, and its deletion is noted there before its manifest goes: what is due
    /// before and after the store was looked at must be there.
    pub(crate) async fn missing_in(
        &self,
        region: Option<&str>,
        project: &ProjectId,
    ) -> Result<BTreeSet<BackupId>, ServiceError> {
        let due = self.manifests_due(region, project).await?;
        if due.is_empty() {
            return Ok(due);
        }
        let place = self.place_in(region, project.as_str())?;
        let missing = self
            .blocking("listing manifests", move || place.open()?.missing(&due))
            .await?;
        if missing.is_empty() {
            return Ok(BTreeSet::new());
        }
        let still_due = self.manifests_due(region, project).await?;
        Ok(missing
            .into_iter()
            .filter(|id| still_due.contains(id))
            .collect())
    }

    /// Looks whether the stores hold all backups that the catalogue shows; logs and records as
    /// damaged those that are missing, and returns them. What is there again is looked at again.
    pub async fn compare_with_stores(
        &self,
        by: DamageFinder,
    ) -> Result<Vec<BackupId>, ServiceError> {
        let query = BackupQuery {
            states: COMPLETE.to_vec(),
            ..BackupQuery::default()
        };
        let mut places: BTreeMap<(Option<String>, ProjectId), Vec<Backup>> = BTreeMap::new();
        for backup in self.catalog.backups(&query).await?.items {
            if has_manifest(&backup) {
                let region = region_of(&backup).map(str::to_owned);
                let project = backup.content().0.clone();
                places.entry((region, project)).or_default().push(backup);
            }
        }
        let mut all = Vec::new();
        for ((region, project), backups) in places {
            let missing = match self.missing_in(region.as_deref(), &project).await {
                Ok(missing) => missing,
                Err(error) => {
                    tracing::error!(
                        project_id = %project,
                        region,
                        error = chain(&error),
                        "the catalogue could not be compared with the store"
                    );
                    continue;
                }
            };
            for backup in backups {
                let is_missing = missing.contains(&backup.content().1);
                if is_missing {
                    tracing::error!(
                        backup_id = %backup.id,
                        project_id = %backup.project_id,
                        region,
                        "manifest missing from the store: sweeps of the project are refused until it is put back or the backup is deleted"
                    );
                    all.push(backup.id);
                }
                if !is_missing && backup.damage.is_some() {
                    self.damage.look_again();
                }
            }
            let found = missing.into_iter().map(FoundDamage::manifest_missing);
            self.record_damage_in(region.as_deref(), &project, found.collect(), by)
                .await?;
        }
        Ok(all)
    }
}
