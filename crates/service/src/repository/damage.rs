//! Damage: which backups cannot be fully restored, shown wherever they are.
//!
//! Code that finds damage calls [`Service::record_damage`]. A backup that is hurt is `damaged` until
//! all of its data can be read again: the damage worker looks after each backup, since a later one
//! stores anew what it meets of a damaged pack, after each scrub, and every few minutes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use emberkeep_catalog::{Change, Row};
use emberkeep_engine::{
    CheckError, CheckReport, CopyError, Damage, RepositoryError, RestoreError, Run,
};
use emberkeep_model::{
    Backup, BackupDamage, BackupId, BackupState, ByteSpan, DamageFinder, MessageAction,
    MessageDetail, ObjectType, ProjectId, Sealed, Timestamp,
};
use emberkeep_volumes::{ChangeSet, Extent, SourceSnapshot, VolumeError};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::messages::About;
use crate::query::BackupQuery;
use crate::replica::regions::Place;
use crate::service::racing;
use crate::task::supervisor::{Desk, Worker};
use crate::task::worker::chain;
use crate::{Service, ServiceError};

const FOUND: &str = "emberkeep_damage_found_total";
const HEALED: &str = "emberkeep_damage_healed_total";
const HURT: &str = "emberkeep_damaged_backups";

/// What is said of a backup whose manifest is not in the store.
const MANIFEST_MISSING: &str = "the manifest of this backup is missing from the store: put it back from a copy of the store, or delete the backup";

/// What was met while reading is noted for so many places at most; the scrub finds the rest.
const MOST_MET: usize = 256;
/// Damage that is seen again is noted anew after so long.
const NOTE_AGAIN_SECS: i64 = 3600;

/// Damaged backups are looked at again after so long at most.
const LOOK: Duration = Duration::from_secs(600);
/// And after so long at least: a look may walk the maps of a whole project.
const REST: Duration = Duration::from_secs(5);

/// The worker that looks into damage which was met, and makes backups available again that can be
/// read in full.
pub(crate) struct DamageWatch {
    pub(crate) service: Service,
}

#[async_trait]
impl Worker for DamageWatch {
    fn name(&self) -> String {
        "damage".to_owned()
    }

    async fn run(&self, desk: Desk) {
        while !desk.is_stopping() {
            desk.begin();
            let run = Run::new();
            let looking = self.service.look_at_damage(&run);
            tokio::pin!(looking);
            let outcome = tokio::select! {
                outcome = &mut looking => outcome,
                () = desk.stopped() => {
                    run.cancel();
                    looking.await
                }
            };
            let problem = outcome.err().map(|error| chain(&error));
            if let Some(error) = &problem {
                tracing::error!(error, "damage could not be looked into; it is tried again");
            }
            desk.end(problem.as_deref());
            tokio::select! {
                () = desk.stopped() => {}
                () = tokio::time::sleep(REST) => {}
            }
            tokio::select! {
                () = desk.stopped() => {}
                () = self.service.damage.woken() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// One backup that is hurt, as the repository knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDamage {
    /// The id under which the repository keeps its content.
    pub backup_id: BackupId,
    /// What is damaged and how, for people.
    pub what: String,
    /// Bytes of the volume that are lost; empty where it is not known which.
    pub lost: Vec<ByteSpan>,
}

impl FoundDamage {
    /// Says that the store has lost a backup's manifest.
    pub fn manifest_missing(backup_id: BackupId) -> Self {
        Self {
            backup_id,
            what: MANIFEST_MISSING.to_owned(),
            lost: Vec::new(),
        }
    }

    /// Collects from the report of a check what it says of each backup that is hurt.
    pub fn of(report: &CheckReport) -> Vec<Self> {
        let mut found: BTreeMap<BackupId, (Vec<String>, Vec<ByteSpan>)> = BTreeMap::new();
        for problem in &report.problems {
            for backup in &problem.hurt {
                let (places, lost) = found.entry(*backup).or_default();
                places.push(chain(&problem.damage));
                let own = problem.lost.iter().filter(|lost| lost.backup == *backup);
                lost.extend(own.map(|lost| ByteSpan {
                    start: lost.range.start,
                    end: lost.range.end,
                }));
            }
        }
        found
            .into_iter()
            .map(|(backup_id, (places, lost))| Self {
                backup_id,
                what: match places.as_slice() {
                    [] => String::new(),
                    [only] => only.clone(),
                    [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
                },
                lost,
            })
            .collect()
    }
}

/// Damage that was met while a backup's bytes were read, to be looked into by the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Met {
    backup: BackupId,
    what: String,
    /// The damaged object, where it is known.
    object: Option<String>,
}

impl Met {
    /// Reads it off a failed restore; none if the failure is of another kind.
    fn of(backup: BackupId, error: &RestoreError) -> Option<Self> {
        let damaged = |damage: &Damage| Self {
            backup,
            what: chain(damage),
            object: Some(damage.object.clone()),
        };
        match error {
            RestoreError::BackupDamaged { damage, .. }
            | RestoreError::Repository(RepositoryError::Damaged(damage)) => Some(damaged(damage)),
            RestoreError::NoSuchBackup(_)
            | RestoreError::Repository(RepositoryError::NoSuchBackup(_)) => Some(Self {
                backup,
                what: MANIFEST_MISSING.to_owned(),
                object: None,
            }),
            RestoreError::Repository(_)
            | RestoreError::VolumeTooSmall { .. }
            | RestoreError::Target(_)
            | RestoreError::Store(_)
            | RestoreError::Cancelled
            | RestoreError::Decompressor(_) => None,
        }
    }
}

/// What the damage worker has to look into.
#[derive(Debug, Default)]
pub(crate) struct DamageQueue {
    met: Mutex<VecDeque<Met>>,
    wake: Notify,
}

impl DamageQueue {
    fn put(&self, met: Met) {
        let mut waiting = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST_MET && !waiting.contains(&met) {
            waiting.push_back(met);
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Takes in what a failed read of a backup says of its data, if anything.
    pub(crate) fn met(&self, backup: BackupId, error: &RestoreError) {
        if let Some(met) = Met::of(backup, error) {
            self.put(met);
        }
    }

    fn take(&self) -> Option<Met> {
        let mut waiting = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    }

    /// Asks for another look at all damaged backups.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something to do.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// A source that reports damage which its readers meet.
pub(crate) struct Watched {
    inner: Box<dyn SourceSnapshot>,
    backup: BackupId,
    queue: Arc<DamageQueue>,
}

impl Watched {
    fn look<T>(&self, outcome: Result<T, VolumeError>) -> Result<T, VolumeError> {
        if let Err(error) = &outcome {
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
            while let Some(error) = cause {
                let inner = error
                    .downcast_ref::<std::io::Error>()
                    .and_then(std::io::Error::get_ref)
                    .and_then(|inner| inner.downcast_ref::<RestoreError>());
                let restore = inner.or_else(|| error.downcast_ref::<RestoreError>());
                if let Some(error) = restore {
                    self.queue.met(self.backup, error);
                    break;
                }
                cause = error.source();
            }
        }
        outcome
    }
}

impl SourceSnapshot for Watched {
    fn size(&self) -> emberkeep_model::ByteCount {
        self.inner.size()
    }

    fn extents(
        &self,
        range: std::ops::Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.look(self.inner.extents(range, since))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.look(self.inner.read_at(offset, buf))
    }
}

impl Service {
    /// Wraps a backup's reader so that damage which it meets is recorded.
    pub(crate) fn watched(&self, backup: BackupId, inner: Box<dyn SourceSnapshot>) -> Watched {
        Watched {
            inner,
            backup,
            queue: Arc::clone(&self.damage),
        }
    }

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
    async fn healed(&self, id: BackupId) -> Result<bool, ServiceError> {
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

    async fn damaged_backups(&self) -> Result<Vec<Backup>, ServiceError> {
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

    async fn look_at_damage(&self, run: &Run) -> Result<(), ServiceError> {
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

/// Tells whether a row says already what was found, not long ago.
fn is_known(row: &Backup, damage: &BackupDamage, now: Timestamp) -> bool {
    row.damage.as_ref().is_some_and(|known| {
        let both = known.clone().and(damage.clone());
        both.lost == known.lost
            && both.what == known.what
            && known.seen_at.plus_secs(NOTE_AGAIN_SECS) > now
    })
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

impl From<Recheck> for crate::blocking::Inner {
    fn from(error: Recheck) -> Self {
        Self::of(error)
    }
}

impl From<CheckError> for crate::blocking::Inner {
    fn from(error: CheckError) -> Self {
        Self::of(error)
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_model::ByteCount;

    use super::*;

    /// A source whose reads fail as the one of a backup does.
    struct Failing(fn() -> RestoreError);

    impl SourceSnapshot for Failing {
        fn size(&self) -> ByteCount {
            ByteCount(4096)
        }

        fn extents(
            &self,
            _range: std::ops::Range<u64>,
            _since: Option<&str>,
        ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
            Err(VolumeError::io("reading", std::io::Error::other(self.0())))
        }

        fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> Result<(), VolumeError> {
            Err(VolumeError::io("reading", std::io::Error::other(self.0())))
        }
    }

    #[test]
    fn readers_of_a_backup_report_damage_and_nothing_else() {
        let id = BackupId(Uuid::from_u128(1));
        let damaged = || RestoreError::BackupDamaged {
            backup: BackupId(Uuid::from_u128(1)),
            damage: Box::new(Damage {
                object: "p/x/packs/ab/ab".to_owned(),
                offset: Some(7),
                cause: emberkeep_engine::DamageCause::Missing,
            }),
        };
        for (name, error, want) in [
            (
                "damage",
                damaged as fn() -> RestoreError,
                Some(Some("p/x/packs/ab/ab")),
            ),
            (
                "a lost manifest",
                || RestoreError::NoSuchBackup(BackupId(Uuid::from_u128(1))),
                Some(None),
            ),
            ("a cancelled read", || RestoreError::Cancelled, None),
        ] {
            let queue = Arc::new(DamageQueue::default());
            let watched = Watched {
                inner: Box::new(Failing(error)),
                backup: id,
                queue: Arc::clone(&queue),
            };
            assert!(watched.read_at(0, &mut [0; 8]).is_err(), "{name}");
            assert!(watched.extents(0..8, None).is_err(), "{name}");
            let met = queue.take();
            let object = met.map(|met| met.object);
            let want = want.map(|object| object.map(str::to_owned));
            assert_eq!(object, want, "{name}");
            assert_eq!(queue.take(), None, "{name}: noted once");
        }
    }

    #[test]
    fn what_waits_to_be_looked_into_is_bounded() {
        let queue = DamageQueue::default();
        for n in 0..1000u128 {
            queue.put(Met {
                backup: BackupId(Uuid::from_u128(n)),
                what: String::new(),
                object: None,
            });
        }
        let waiting = std::iter::from_fn(|| queue.take()).count();
        assert_eq!(waiting, MOST_MET);
    }
}
