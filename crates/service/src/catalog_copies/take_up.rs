//! Makes the rows of a catalog agree with the manifests in the store.
//!
//! Runs on a catalog that no service uses. The manifests are the truth: a backup that no row knows
//! gets one, with what its manifest remembers of where it belonged; a row whose manifest is gone says so.

use std::collections::{BTreeMap, BTreeSet};

use emberkeep_catalog::{BackupQuery, Catalog, CatalogError, Change, Row};
use emberkeep_engine::{BackupFacts, Manifest, Repository, RepositoryError, WholeFacts};
use emberkeep_model::{
    Backup, BackupDamage, BackupEvent, BackupId, BackupState, ByteCount, CbrFacts, DamageFinder,
    Gib, ObjectType, Sealed, Timestamp, VaultId, VolumeId,
};
use uuid::Uuid;

use super::context::{Belongings, Context};
use super::unknown::is_of_this_service;
use crate::error::chain;
use crate::repository::comparison::has_manifest;
use crate::{ServiceError, Settings};

/// What the damage of a backup without its manifest is called.
const MANIFEST_MISSING: &str = "its manifest is missing from the store";

/// What became of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakenUp {
    /// Backups that got a row.
    pub added: u64,
    /// Rows of backups that were being made, which are complete.
    pub finished: u64,
    /// Rows of backups that were deleted since.
    pub deleted: u64,
    /// Rows of backups whose manifests are lost.
    pub lost: u64,
    /// Manifests that cannot be read, or that remember something that cannot.
    pub unreadable: u64,
    /// Backups that another program, or another region's service, stored here.
    pub others: u64,
    /// What got a row because backups belong to it.
    pub belongings: Belongings,
}

/// What the store holds of one project.
struct Stored {
    manifests: Vec<(Manifest, BackupFacts)>,
    /// Every backup that has a manifest, readable or not.
    ids: BTreeSet<BackupId>,
    /// Those of the catalog that were deleted on purpose.
    deleted: BTreeSet<BackupId>,
}

/// Makes rows of a catalog agree with the store. `built_in_identity` is whether users and projects
/// are the catalog's own. May be broken off and done again.
pub async fn take_up(
    catalog: &dyn Catalog,
    repository: &Repository,
    built_in_identity: bool,
    now: Timestamp,
) -> Result<TakenUp, ServiceError> {
    let mut report = TakenUp::default();
    let rows = catalog.backups(&BackupQuery::default()).await?.items;
    let stored = read_store(repository.clone(), &rows, &mut report).await?;
    settle_rows(catalog, &rows, &stored, now, &mut report).await?;

    let mut context = Context::new(catalog, built_in_identity, now);
    let mut fresh = Vec::new();
    let mut wholes: BTreeMap<BackupId, (WholeFacts, Vec<Backup>)> = BTreeMap::new();
    for (manifest, facts) in stored.into_values().flat_map(|stored| stored.manifests) {
        if catalog.backup(manifest.backup_id).await?.is_some() {
            continue;
        }
        let Some(backup) = row_of(&manifest, &facts, now) else {
            report.unreadable += 1;
            continue;
        };
        context.note(&backup, &facts);
        match (backup.cbr.part_of, facts.whole) {
            (Some(id), Some(whole)) => {
                let (_, parts) = wholes.entry(id).or_insert((whole, Vec::new()));
                parts.push(backup);
            }
            (_, _) => fresh.push(backup),
        }
    }
    // First what they belong to: backups name vaults, and vaults are found by them.
    let held = held_vaults(&fresh, &wholes);
    report.belongings = context.make(&held).await?;
    for (id, (whole, parts)) in wholes {
        if catalog.backup(id).await?.is_none() {
            let query = BackupQuery {
                part_of: Some(id),
                ..BackupQuery::default()
            };
            let known = catalog.backups(&query).await?.items;
            let row = whole_row(id, whole, &parts, &known);
            insert(catalog, row, &mut report).await?;
        }
        for part in parts {
            insert(catalog, part, &mut report).await?;
        }
    }
    for backup in fresh {
        insert(catalog, backup, &mut report).await?;
    }
    Ok(report)
}

async fn insert(
    catalog: &dyn Catalog,
    backup: Backup,
    report: &mut TakenUp,
) -> Result<(), ServiceError> {
    match catalog
        .apply(vec![Change::Insert(Row::Backup(backup))])
        .await
    {
        Ok(()) => report.added += 1,
        Err(CatalogError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Returns the vaults that backups are in.
fn held_vaults(
    fresh: &[Backup],
    wholes: &BTreeMap<BackupId, (WholeFacts, Vec<Backup>)>,
) -> BTreeSet<VaultId> {
    let parts = wholes.values().flat_map(|(_, parts)| parts);
    fresh
        .iter()
        .chain(parts)
        .filter_map(|backup| backup.vault_id)
        .collect()
}

async fn read_store(
    repository: Repository,
    rows: &[Backup],
    report: &mut TakenUp,
) -> Result<BTreeMap<String, Stored>, ServiceError> {
    let mut known: BTreeMap<String, BTreeSet<BackupId>> = BTreeMap::new();
    for row in rows {
        let (project, id) = row.content();
        known.entry(project.to_string()).or_default().insert(id);
    }
    let read = move || -> Result<_, RepositoryError> {
        let mut all = BTreeMap::new();
        let (mut unreadable, mut others) = (0, 0);
        for project in repository.projects()? {
            let name = project.project().to_owned();
            let there = project.manifests()?;
            unreadable += there.damaged.len() as u64;
            let mut manifests = Vec::new();
            for manifest in there.readable {
                if !is_of_this_service(&manifest) {
                    others += 1;
                    continue;
                }
                match manifest.facts() {
                    Ok(facts) => manifests.push((manifest, facts)),
                    Err(error) => {
                        let error = chain(&error);
                        tracing::error!(backup_id = %manifest.backup_id, error, "manifest is damaged: no row is made from it");
                        unreadable += 1;
                    }
                }
            }
            let ids = project.backup_ids()?;
            let missing: BTreeSet<BackupId> = known
                .get(&name)
                .map(|known| known.difference(&ids).copied().collect())
                .unwrap_or_default();
            let deleted = project.deleted_among(&missing)?;
            let stored = Stored {
                manifests,
                ids,
                deleted,
            };
            all.insert(name, stored);
        }
        Ok((all, unreadable, others))
    };
    let read = tokio::task::spawn_blocking(read).await;
    let inner = |cause| ServiceError::Inner("reading the manifests", cause);
    let (all, unreadable, others) = read
        .map_err(|panicked| inner(Box::new(panicked)))?
        .map_err(|error| inner(Box::new(error)))?;
    report.unreadable += unreadable;
    report.others += others;
    Ok(all)
}

/// Makes rows say what the store holds of their backups.
async fn settle_rows(
    catalog: &dyn Catalog,
    rows: &[Backup],
    stored: &BTreeMap<String, Stored>,
    now: Timestamp,
    report: &mut TakenUp,
) -> Result<(), ServiceError> {
    for row in rows {
        // What lies in another region, with another host or in Cinder's own places is not ours to judge.
        let is_elsewhere = row.cbr.replica.is_some()
            || row.foreign().is_some()
            || row.cbr.kind == ObjectType::Server;
        if is_elsewhere {
            continue;
        }
        let (project, id) = row.content();
        let place = stored.get(project.as_str());
        let is_there = place.is_some_and(|place| place.ids.contains(&id));
        let was_deleted = place.is_none_or(|place| place.deleted.contains(&id));
        let mut changed = row.clone();
        match &row.state {
            BackupState::Queued | BackupState::Copying if is_there => {
                let found = place.and_then(|place| {
                    place
                        .manifests
                        .iter()
                        .find(|(manifest, _)| manifest.backup_id == id)
                });
                let Some((manifest, _)) = found else {
                    continue;
                };
                changed.state = BackupState::Available(sealed(manifest));
                changed.updated_at = Some(now);
                report.finished += 1;
            }
            BackupState::DeleteQueued | BackupState::Deleting if !is_there => {
                changed.state = BackupState::Deleted;
                changed.deleted_at = Some(now);
                report.deleted += 1;
            }
            _ if is_there || !has_manifest(row) => continue,
            _ if was_deleted => {
                changed.state = BackupState::Deleted;
                changed.damage = None;
                changed.deleted_at = Some(now);
                changed.updated_at = Some(now);
                report.deleted += 1;
            }
            _ => {
                if matches!(
                    changed.state,
                    BackupState::RestoreQueued { .. } | BackupState::Restoring { .. }
                ) {
                    changed
                        .take(BackupEvent::RestoreEnded, now)
                        .map_err(refused)?;
                }
                let damage = BackupDamage::new(MANIFEST_MISSING, [], DamageFinder::Start, now);
                changed.hurt(damage, now).map_err(refused)?;
                report.lost += 1;
            }
        }
        catalog
            .apply(vec![Change::Save(Row::Backup(changed))])
            .await?;
    }
    Ok(())
}

fn refused(error: emberkeep_model::BackupRefused) -> ServiceError {
    ServiceError::Inner("settling a backup", Box::new(error))
}

/// Builds the row of a backup from its manifest; `None` if its ids are not valid ids of this service.
fn row_of(manifest: &Manifest, facts: &BackupFacts, now: Timestamp) -> Option<Backup> {
    let created_at = Timestamp(manifest.created_at.0);
    let volume_id = manifest.source.volume_id;
    let whose = (manifest.project.parse().ok()?, facts.user_id.clone()?);
    let mut backup = Backup::new(
        manifest.backup_id,
        whose,
        volume_id.unwrap_or(VolumeId(Uuid::nil())),
        created_at,
    );
    backup.volume_name = manifest.source.volume_name.clone();
    backup.snapshot_id = manifest.source.snapshot_id;
    backup.vault_id = manifest.vault_id;
    backup.checkpoint_id = manifest.checkpoint_id;
    backup.parent_id = manifest.parent;
    backup.name = Some(manifest.name.clone()).filter(|name| !name.is_empty());
    backup.description = manifest.description.clone();
    backup.container = facts.container.clone();
    // The row gets the only zone there is once its backup is complete.
    backup.availability_zone = Some(
        facts
            .availability_zone
            .clone()
            .unwrap_or_else(|| Settings::default().availability_zone),
    );
    backup.metadata = facts.metadata.clone();
    backup.size = facts.size_gib.unwrap_or_else(|| gib(manifest.size.0));
    backup.automatic = facts.automatic;
    backup.state = BackupState::Available(sealed(manifest));
    backup.data_timestamp = facts.data_timestamp.unwrap_or(created_at);
    backup.updated_at = Some(now);
    backup.cinder = facts.cinder.clone();
    backup.cbr = CbrFacts {
        kind: facts.kind,
        part_of: facts.part_of,
        server: None,
        policy_id: facts.policy_id,
        expires_at: facts.expires_at,
        replica: None,
    };
    Some(backup)
}

/// Builds the row of a server's backup from the parts that were found, at least one, and those that
/// have rows already. Without all of them it is no backup of the server.
fn whole_row(id: BackupId, whole: WholeFacts, parts: &[Backup], known: &[Backup]) -> Backup {
    let first = &parts[0];
    let sealed: Vec<Sealed> = parts
        .iter()
        .chain(known)
        .filter_map(|part| part.state.sealed())
        .collect();
    let state = match whole.parts {
        Some(wanted) if sealed.len() < wanted => BackupState::Failed {
            reason: format!("only {} of its {wanted} parts are there", sealed.len()),
        },
        Some(_) | None => BackupState::Available(crate::server::work::sum(&sealed)),
    };
    let mut backup = first.clone();
    backup.id = id;
    backup.volume_id = whole.server_id;
    backup.volume_name = whole.server_name;
    backup.name = whole.name;
    backup.size = whole.size_gib;
    backup.snapshot_id = None;
    backup.parent_id = None;
    backup.state = state;
    backup.cinder = Default::default();
    backup.cbr = CbrFacts {
        kind: ObjectType::Server,
        part_of: None,
        server: whole.server,
        replica: None,
        ..first.cbr.clone()
    };
    backup
}

fn sealed(manifest: &Manifest) -> Sealed {
    let statistics = &manifest.statistics;
    Sealed {
        at: Timestamp(manifest.finished_at.0),
        read: ByteCount(statistics.read_bytes),
        data: ByteCount(statistics.data_bytes),
        new: ByteCount(statistics.new_bytes),
        stored: ByteCount(statistics.stored_bytes),
    }
}

fn gib(bytes: u64) -> Gib {
    Gib(u32::try_from(bytes.div_ceil(1 << 30)).unwrap_or(u32::MAX))
}
