//! Damage in the rows of backups: recorded, shown, and taken back once it is healed.

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{
    Backup, BackupDamage, BackupId, BackupState, DamageFinder, MessageAction, MessageDetail,
    ProjectId, Sealed, Timestamp,
};
use uuid::Uuid;

use super::found::FoundDamage;
use crate::messages::About;
use crate::query::BackupQuery;
use crate::race::racing;
use crate::{Service, ServiceError};

const FOUND: &str = "emberkeep_damage_found_total";
const HEALED: &str = "emberkeep_damage_healed_total";
const HURT: &str = "emberkeep_damaged_backups";

/// Damage that is seen again is noted anew after so long.
const NOTE_AGAIN_SECS: i64 = 3600;

impl Service {
    /// Records that backups of a project at home are hurt, for everybody to see: their state, a
    /// message each, the metrics. Backups that are unknown, or have no content, are left alone.
    /// Returns how many were not known to be hurt. May be called again with the same.
    pub async fn record_damage(
        &self,
        project: &ProjectId,
        found: Vec<FoundDamage>,
        by: DamageFinder,
    ) -> Result<usize, ServiceError> {
        self.record_damage_in(None, project, found, by).await
    }

    /// Does it for backups that lie in another region, or at home.
    pub(crate) async fn record_damage_in(
        &self,
        region: Option<&str>,
        project: &ProjectId,
        found: Vec<FoundDamage>,
        by: DamageFinder,
    ) -> Result<usize, ServiceError> {
        let mut new = 0;
        let any = !found.is_empty();
        for one in found {
            for row in self.rows_showing(region, project, one.backup_id).await? {
                let damage = BackupDamage::new(&one.what, one.lost.iter().copied(), by, self.now());
                if self.hurt(row, damage).await? {
                    new += 1;
                }
            }
        }
        if new > 0 {
            metrics::counter!(FOUND, "found_by" => by.as_str()).increment(new as u64);
        }
        if any {
            self.count_damaged().await?;
        }
        Ok(new)
    }

    /// Finds the backups that show some content: the one that was made as it, and those whose
    /// records were imported.
    async fn rows_showing(
        &self,
        region: Option<&str>,
        project: &ProjectId,
        content: BackupId,
    ) -> Result<Vec<BackupId>, ServiceError> {
        let query = BackupQuery {
            content: Some(content),
            ..BackupQuery::default()
        };
        let others = self.catalog.backups(&query).await?.items;
        let own = self.catalog.backup(content).await?;
        let lies_there = |row: &Backup| {
            let place = row.cbr.replica.as_ref().map(|r| r.region.as_str());
            row.content() == (project, content) && place == region
        };
        let rows = own.into_iter().chain(others);
        Ok(rows.filter(lies_there).map(|row| row.id).collect())
    }

    /// Notes damage in the row of a backup and in that of the server's backup that it is part of.
    async fn hurt(&self, id: BackupId, damage: BackupDamage) -> Result<bool, ServiceError> {
        let request_id = format!("req-{}", Uuid::new_v4());
        let is_new = racing(|| async {
            let now = self.now();
            let Some(mut row) = self.catalog.backup(id).await? else {
                return Ok(false);
            };
            if is_known(&row, &damage, now) {
                return Ok(false);
            }
            let Ok(is_new) = row.hurt(damage.clone(), now) else {
                return Ok(false);
            };
            let mut changes = Vec::new();
            if let Some(whole) = row.cbr.part_of
                && let Some(mut whole) = self.catalog.backup(whole).await?
                && whole.damage.is_none()
            {
                let of = row.volume_name.clone();
                let of = of.unwrap_or_else(|| row.volume_id.to_string());
                let what = format!("the backup of its volume {of}: {}", damage.what);
                let part = BackupDamage::new(&what, [], damage.found_by, now);
                if whole.hurt(part, now).is_ok() {
                    changes.push(Change::Save(Row::Backup(whole)));
                }
            }
            if is_new && row.is_of_volume() {
                changes.push(self.message(
                    &row.project_id,
                    &request_id,
                    About::Backup(id),
                    MessageAction::RestoreBackup,
                    MessageDetail::RestoreDriverError,
                ));
            }
            changes.push(Change::Save(Row::Backup(row)));
            self.commit(changes).await?;
            Ok(is_new)
        })
        .await?;
        if is_new {
            tracing::error!(
                backup_id = %id,
                found_by = %damage.found_by,
                what = damage.what,
                lost_bytes = damage.lost_bytes(),
                "a backup is damaged; back its volume up again to heal it"
            );
        }
        Ok(is_new)
    }

    /// Notes that all of a backup's data can be read again.
    pub(super) async fn healed(&self, id: BackupId) -> Result<bool, ServiceError> {
        let healed = racing(|| async {
            let now = self.now();
            let Some(mut row) = self.catalog.backup(id).await? else {
                return Ok(false);
            };
            if !row.heal(now).unwrap_or(false) {
                return Ok(false);
            }
            let mut changes = Vec::new();
            if let Some(whole) = row.cbr.part_of
                && let Some(mut whole) = self.catalog.backup(whole).await?
            {
                let parts = self.parts_of(&whole).await?;
                let others = parts.iter().filter(|part| part.id != id);
                if others.into_iter().all(|part| part.damage.is_none())
                    && whole.heal(now).unwrap_or(false)
                {
                    changes.push(Change::Save(Row::Backup(whole)));
                }
            }
            changes.push(Change::Save(Row::Backup(row)));
            self.commit(changes).await?;
            Ok(true)
        })
        .await?;
        if healed {
            metrics::counter!(HEALED).increment(1);
            tracing::info!(backup_id = %id, "a damaged backup can be read in full again");
        }
        Ok(healed)
    }

    pub(super) async fn damaged_backups(&self) -> Result<Vec<Backup>, ServiceError> {
        let query = BackupQuery {
            states: vec![BackupState::Damaged(Sealed::unread(Timestamp(0))).word()],
            ..BackupQuery::default()
        };
        Ok(self.catalog.backups(&query).await?.items)
    }

    /// Shows in the metrics how many backups are damaged.
    pub(crate) async fn count_damaged(&self) -> Result<(), ServiceError> {
        let count = self.damaged_backups().await?.len();
        metrics::gauge!(HURT).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        Ok(())
    }
}

/// Tells whether a row says already what was found, not long ago.
fn is_known(row: &Backup, damage: &BackupDamage, now: Timestamp) -> bool {
    row.damage.as_ref().is_some_and(|known| {
        let both = known.clone().and(damage.clone());
        both.lost == known.lost
            && both.what == known.what
            && known.seen_at.plus_secs(NOTE_AGAIN_SECS) > now
    })
}
