//! Which backups damage hurts, and whether damaged ones can be read in full again.

use std::collections::BTreeMap;

use emberkeep_engine::{CheckError, CopyError, RepositoryError, RestoreError, Run};
use emberkeep_model::{Backup, BackupId, ByteSpan, DamageFinder, ObjectType, ProjectId};
use emberkeep_volumes::SourceSnapshot;

use super::found::{FoundDamage, MANIFEST_MISSING};
use super::queue::{Met, Watched};
use crate::blocking::Inner;
use crate::error::chain;
use crate::replica::regions::Place;
use crate::{Service, ServiceError};

impl Service {
    /// Wraps a backup's reader so that damage which it meets is recorded.
    pub(crate) fn watched(&self, backup: BackupId, inner: Box<dyn SourceSnapshot>) -> Watched {
        Watched::new(backup, inner, std::sync::Arc::clone(&self.damage))
    }

    /// Records what a failed restore says of the backup's data, if anything, and looks for all
    /// others that the same damage hurts.
    pub(crate) async fn damage_of_restore(
        &self,
        backup: &Backup,
        error: &RestoreError,
        by: DamageFinder,
        run: &Run,
    ) {
        if let Some(met) = Met::of(backup.id, error) {
            self.look_into(backup, met, by, run).await;
        }
    }

    /// Records what a failed copy says of the data of the backup, or of its copies.
    pub(crate) async fn damage_of_copy(
        &self,
        source: &Backup,
        copy: &Backup,
        error: &CopyError,
        run: &Run,
    ) {
        let object = match error {
            CopyError::Repository(RepositoryError::Damaged(damage)) => damage.object.clone(),
            CopyError::NoSuchBackup(_)
            | CopyError::Repository(RepositoryError::NoSuchBackup(_)) => {
                let met = Met {
                    backup: source.id,
                    what: MANIFEST_MISSING.to_owned(),
                    object: None,
                };
                return self.look_into(source, met, DamageFinder::Copy, run).await;
            }
            _ => return,
        };
        for backup in [source, copy] {
            let objects = vec![object.clone()];
            if let Err(error) = self.inspect(backup, objects, DamageFinder::Copy, run).await {
                tracing::error!(backup_id = %backup.id, error = chain(&error), "damage could not be looked into; the scrub finds it");
            }
        }
    }

    async fn look_into(&self, backup: &Backup, met: Met, by: DamageFinder, run: &Run) {
        let inspected = self
            .inspect(backup, met.object.into_iter().collect(), by, run)
            .await;
        let named = match inspected {
            Ok(named) => named,
            Err(error) => {
                tracing::warn!(backup_id = %backup.id, error = chain(&error), "which backups the damage hurts could not be found out");
                false
            }
        };
        if named {
            return;
        }
        // At least this one could not be read.
        let (project, content) = backup.content();
        let found = vec![FoundDamage {
            backup_id: content,
            what: met.what,
            lost: Vec::new(),
        }];
        let region = backup.cbr.replica.as_ref().map(|r| r.region.as_str());
        if let Err(error) = self.record_damage_in(region, project, found, by).await {
            tracing::error!(backup_id = %backup.id, error = chain(&error), "damage could not be recorded");
        }
    }

    /// Checks the repository that a backup lies in, with these objects, and records every backup
    /// that is hurt. Tells whether this one is among them.
    async fn inspect(
        &self,
        backup: &Backup,
        objects: Vec<String>,
        by: DamageFinder,
        run: &Run,
    ) -> Result<bool, ServiceError> {
        let (place, run) = (self.place_of(backup)?, run.clone());
        let report = self
            .blocking("looking for what is damaged", move || {
                place.open()?.inspect(&objects, &run)
            })
            .await?;
        let (project, content) = backup.content();
        let found = FoundDamage::of(&report);
        let named = found.iter().any(|one| one.backup_id == content);
        let region = backup.cbr.replica.as_ref().map(|r| r.region.as_str());
        self.record_damage_in(region, project, found, by).await?;
        Ok(named)
    }

    /// Looks into what readers have met, and again at all that is damaged.
    pub(super) async fn look_at_damage(&self, run: &Run) -> Result<(), ServiceError> {
        self.look_into_met(run).await?;
        self.recheck_damage(run).await.map(drop)
    }

    /// Looks into damage that readers have met since the last call.
    pub(crate) async fn look_into_met(&self, run: &Run) -> Result<(), ServiceError> {
        while let Some(met) = self.damage.take() {
            if let Some(backup) = self.catalog.backup(met.backup).await? {
                self.look_into(&backup, met, DamageFinder::Export, run)
                    .await;
            }
        }
        Ok(())
    }

    /// Looks whether damaged backups can be read again in full, and makes those available that
    /// can. Returns how many.
    pub async fn recheck_damage(&self, run: &Run) -> Result<usize, ServiceError> {
        type Group = (Option<String>, ProjectId);
        let mut groups: BTreeMap<(Option<String>, String), (Group, Vec<Backup>)> = BTreeMap::new();
        for backup in self.damaged_backups().await? {
            // A server's backup has no content of its own.
            if backup.cbr.kind == ObjectType::Server {
                continue;
            }
            let region = backup.cbr.replica.as_ref().map(|r| r.region.clone());
            let project = backup.content().0.clone();
            groups
                .entry((region.clone(), project.to_string()))
                .or_insert_with(|| ((region, project), Vec::new()))
                .1
                .push(backup);
        }
        let mut count = 0;
        for ((region, project), backups) in groups.into_values() {
            let place = match self.place_in(region.as_deref(), project.as_str()) {
                Ok(place) => place,
                Err(error) => {
                    tracing::warn!(project_id = %project, error = chain(&error), "damaged backups could not be read again");
                    continue;
                }
            };
            let asked: Vec<(BackupId, BackupId, Vec<ByteSpan>)> = backups
                .iter()
                .map(|row| {
                    let lost = row.damage.as_ref().map(|d| d.lost.clone());
                    (row.id, row.content().1, lost.unwrap_or_default())
                })
                .collect();
            let run = run.clone();
            let whole = self
                .blocking("reading damaged backups again", move || {
                    whole_again(&place, asked, &run)
                })
                .await;
            match whole {
                Ok(whole) => {
                    for id in whole {
                        count += usize::from(self.healed(id).await?);
                    }
                }
                Err(error) => {
                    tracing::warn!(project_id = %project, error = chain(&error), "damaged backups could not be read again; it is tried later");
                }
            }
        }
        self.count_damaged().await?;
        Ok(count)
    }
}

/// Returns those backups of which all can be read: first what was lost, which is little, then
/// whether a check finds anything else wrong with them.
fn whole_again(
    place: &Place,
    asked: Vec<(BackupId, BackupId, Vec<ByteSpan>)>,
    run: &Run,
) -> Result<Vec<BackupId>, Recheck> {
    let project = place.open()?;
    let mut readable = Vec::new();
    for (id, content, lost) in asked {
        let ranges: Vec<_> = lost.iter().map(|span| span.start..span.end).collect();
        if project.can_read(content, &ranges, run)? {
            readable.push((id, content));
        }
    }
    if readable.is_empty() {
        return Ok(Vec::new());
    }
    let report = project.inspect(&[], run)?;
    let hurt = |content: &BackupId| report.problems.iter().any(|p| p.hurt.contains(content));
    let whole = readable.into_iter().filter(|(_, content)| !hurt(content));
    Ok(whole.map(|(id, _)| id).collect())
}

/// Why damaged backups could not be looked at again.
#[derive(Debug, thiserror::Error)]
enum Recheck {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Read(#[from] RestoreError),
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl From<Recheck> for Inner {
    fn from(error: Recheck) -> Self {
        Self::of(error)
    }
}
