//! Bringing the rows of copies in line with what the stores of other regions hold.
//!
//! The manifests there are the truth: a copy that no row knows gets one, be it that the catalogue
//! was lost or that another service made it; a row whose copy is gone says so.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use emberkeep_catalog::{BackupQuery, Change, Row};
use emberkeep_engine::{BackupFacts, Manifest, Manifests, Run, WholeFacts};
use emberkeep_model::{
    Backup, BackupId, BackupState, CbrFacts, ContentOf, Gib, ObjectType, ProjectId, Sealed, Synced,
    Task, Timestamp, Vault, VaultId, Work,
};

use crate::error::chain;
use crate::race::racing;
use crate::replica::work::sealed;
use crate::server::work::sum;
use crate::task::kind::TaskKind;
use crate::task::outcome::{Stop, Verdict};
use crate::{Service, ServiceError};
use emberkeep_plan::gone_from;

/// Brings the rows of copies in line with what the stores of other regions hold.
#[derive(Debug, Clone)]
pub(crate) struct SyncReplicas {
    pub(crate) vault_id: VaultId,
}

#[async_trait]
impl TaskKind for SyncReplicas {
    type Found = Synced;

    async fn act(&self, service: &Service, task: &Task, _run: &Run) -> Result<Synced, Stop> {
        service.act_sync(task, self.vault_id).await
    }

    async fn rows(
        &self,
        _service: &Service,
        task: &mut Task,
        verdict: &Verdict<Synced>,
    ) -> Result<Vec<Change>, ServiceError> {
        if let (Verdict::Done(synced), Work::SyncReplicas { found, .. }) = (verdict, &mut task.work)
        {
            *found = *synced;
        }
        Ok(Vec::new())
    }
}

impl Service {
    async fn act_sync(&self, task: &Task, vault: VaultId) -> Result<Synced, Stop> {
        let found = self
            .catalog
            .vault(vault)
            .await
            .map_err(ServiceError::from)?;
        let vault = found.ok_or(ServiceError::NoSuchVault(vault))?;
        let mut synced = Synced::default();
        // A copy of another project's backup lies under that one's key.
        let mut projects: BTreeSet<ProjectId> = [task.project_id.clone()].into();
        let copies = self.backups_in(vault.id).await?;
        projects.extend(copies.iter().map(|copy| copy.content().0.clone()));
        for region in self.regions.others.keys() {
            for project in &projects {
                let place = self.place_in(Some(region), project.as_str())?;
                let there = self
                    .blocking("reading the copies", move || place.open()?.manifests())
                    .await?;
                synced.unreadable += there.damaged.len() as u64;
                synced.gone += self.note_gone(&vault, region, project, &there).await?;
                let (added, unreadable) = self.take_in(&vault, region, there).await?;
                synced.added += added;
                synced.unreadable += unreadable;
            }
        }
        Ok(synced)
    }

    /// Marks the rows whose copy, in the repository of `project`, is not there any more.
    async fn note_gone(
        &self,
        vault: &Vault,
        region: &str,
        project: &ProjectId,
        there: &Manifests,
    ) -> Result<u64, ServiceError> {
        let known: HashSet<BackupId> = there.readable.iter().map(|m| m.backup_id).collect();
        let mut gone = 0;
        for backup in self.backups_in(vault.id).await? {
            let lies_there = backup
                .cbr
                .replica
                .as_ref()
                .is_some_and(|r| r.region == region)
                && backup.content().0 == project;
            let has_manifest = backup.cbr.kind != ObjectType::Server;
            if !lies_there || !has_manifest || known.contains(&backup.content().1) {
                continue;
            }
            let id = backup.id;
            let marked = racing(|| async {
                let Some(mut row) = self.catalog.backup(id).await? else {
                    return Ok(false);
                };
                // Only what was complete: what is being made has none yet.
                if !matches!(
                    row.state,
                    BackupState::Available(_) | BackupState::Damaged(_)
                ) {
                    return Ok(false);
                }
                row.state = gone_from(region);
                row.damage = None;
                let mut changed = vec![row];
                // Without one of its parts a server's copy is none.
                if let Some(mut whole) = self.whole_of(&changed[0]).await?
                    && matches!(
                        whole.state,
                        BackupState::Available(_) | BackupState::Damaged(_)
                    )
                {
                    whole.state = gone_from(region);
                    whole.damage = None;
                    changed.push(whole);
                }
                self.save_copies(changed).await?;
                Ok(true)
            })
            .await?;
            gone += u64::from(marked);
        }
        Ok(gone)
    }

    /// Makes the row of a copy good again that was gone and is there after all: its store was out
    /// of reach, or another one stood in its place.
    async fn come_back(
        &self,
        vault: &Vault,
        region: &str,
        manifest: &Manifest,
    ) -> Result<bool, ServiceError> {
        racing(|| async {
            let found = self.catalog.backup(manifest.backup_id).await?;
            let was_gone =
                |row: &Backup| row.vault_id == Some(vault.id) && row.state == gone_from(region);
            let Some(mut row) = found.filter(was_gone) else {
                return Ok(false);
            };
            row.state = BackupState::Available(sealed(manifest));
            let mut changed = vec![row];
            if let Some(mut whole) = self.whole_of(&changed[0]).await?
                && was_gone(&whole)
            {
                let others = self.parts_of(&whole).await?;
                let others = others.iter().filter(|part| part.id != manifest.backup_id);
                let parts: Option<Vec<Sealed>> = others
                    .chain([&changed[0]])
                    .map(|part| match part.state {
                        BackupState::Available(sealed) => Some(sealed),
                        _ => None,
                    })
                    .collect();
                if let Some(parts) = parts {
                    whole.state = BackupState::Available(sum(&parts));
                    changed.push(whole);
                }
            }
            self.save_copies(changed).await?;
            Ok(true)
        })
        .await
    }

    /// Returns the server's copy that a copy is part of.
    async fn whole_of(&self, part: &Backup) -> Result<Option<Backup>, ServiceError> {
        match part.cbr.part_of {
            Some(whole) => Ok(self.catalog.backup(whole).await?),
            None => Ok(None),
        }
    }

    /// Saves copies that stand otherwise now, with the run that they belong to.
    async fn save_copies(&self, mut changed: Vec<Backup>) -> Result<(), ServiceError> {
        let run = changed.first().and_then(|copy| copy.checkpoint_id);
        let run = self.checkpoint_after(run, &changed).await?;
        for copy in &mut changed {
            copy.updated_at = Some(self.now());
        }
        let rows = changed
            .into_iter()
            .map(|copy| Change::Save(Row::Backup(copy)));
        self.commit(rows.chain(run).collect()).await
    }

    /// Makes rows for copies that have none, and those good whose copy has come back; returns how
    /// many copies that were, and how many manifests remember something that cannot be read.
    async fn take_in(
        &self,
        vault: &Vault,
        region: &str,
        there: Manifests,
    ) -> Result<(u64, u64), ServiceError> {
        let mut rows = Vec::new();
        let mut wholes: BTreeMap<BackupId, (WholeFacts, Vec<Backup>)> = BTreeMap::new();
        let (mut back, mut unreadable) = (0, 0);
        for manifest in there.readable {
            if self.come_back(vault, region, &manifest).await? {
                back += 1;
                continue;
            }
            let facts = match manifest.facts() {
                Ok(facts) => facts,
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(backup_id = %manifest.backup_id, region, error, "manifest is damaged: no row is made from it");
                    unreadable += 1;
                    continue;
                }
            };
            let whole = facts.whole.clone();
            let Some(row) = self.row_of(vault, region, &manifest, facts).await? else {
                continue;
            };
            match (row.cbr.part_of, whole) {
                (Some(id), Some(whole)) => {
                    wholes.entry(id).or_insert((whole, Vec::new())).1.push(row);
                }
                (Some(_), None) => {}
                (None, _) => rows.push(row),
            }
        }
        for (id, (whole, parts)) in wholes {
            if self.catalog.backup(id).await?.is_none() {
                let query = BackupQuery {
                    part_of: Some(id),
                    ..BackupQuery::default()
                };
                let known = self.catalog.backups(&query).await?.items;
                rows.push(whole_row(id, whole, &parts, &known));
            }
            rows.extend(parts);
        }
        let added = back + rows.len() as u64;
        for row in rows {
            self.commit(vec![Change::Insert(Row::Backup(row))]).await?;
        }
        Ok((added, unreadable))
    }

    /// Builds the row of a copy from its manifest; none if there is one, or if it belongs to
    /// another vault.
    async fn row_of(
        &self,
        vault: &Vault,
        region: &str,
        manifest: &Manifest,
        facts: BackupFacts,
    ) -> Result<Option<Backup>, ServiceError> {
        let Some(replica) = facts.replica.filter(|r| r.region == region) else {
            return Ok(None);
        };
        if self.catalog.backup(manifest.backup_id).await?.is_some() {
            return Ok(None);
        }
        // One whose vault is lost comes to the vault that is asked for, unless another project's
        // may have asked for it.
        let own = manifest.project == vault.project_id.as_str();
        if manifest.vault_id != Some(vault.id) {
            let lost = match manifest.vault_id {
                Some(other) => self.catalog.vault(other).await?.is_none(),
                None => true,
            };
            if !(own && lost) {
                return Ok(None);
            }
        }
        let kind = facts.kind;
        let kind_fits = kind == vault.object_type || vault.object_type == ObjectType::Server;
        let (Some(volume_id), true) = (manifest.source.volume_id, kind_fits) else {
            return Ok(None);
        };
        let now = self.now();
        let content = (!own)
            .then(|| manifest.project.parse().ok())
            .flatten()
            .map(|project_id| ContentOf {
                project_id,
                backup_id: manifest.backup_id,
            });
        let created_at = Timestamp(manifest.created_at.0);
        let whose = (vault.project_id.clone(), vault.user_id.clone());
        let mut backup = Backup::new(manifest.backup_id, whose, volume_id, created_at);
        backup.volume_name = manifest.source.volume_name.clone();
        backup.vault_id = Some(vault.id);
        backup.name = Some(manifest.name.clone()).filter(|name| !name.is_empty());
        backup.description = manifest.description.clone();
        backup.container = facts.container;
        backup.availability_zone = facts.availability_zone;
        backup.metadata = facts.metadata;
        backup.size = facts.size_gib.unwrap_or_else(|| gib(manifest.size.0));
        backup.automatic = facts.automatic;
        backup.state = BackupState::Available(sealed(manifest));
        backup.data_timestamp = facts.data_timestamp.unwrap_or(created_at);
        backup.updated_at = Some(now);
        backup.content = content;
        backup.cinder = facts.cinder;
        backup.cbr = CbrFacts {
            kind,
            part_of: facts.part_of,
            server: None,
            policy_id: facts.policy_id,
            expires_at: facts.expires_at,
            replica: Some(replica),
        };
        Ok(Some(backup))
    }
}

/// Builds the row of a server's copy from the parts that were found, at least one, and those that
/// have rows already. Without all of them it is no backup of the server.
fn whole_row(id: BackupId, whole: WholeFacts, parts: &[Backup], there: &[Backup]) -> Backup {
    let first = &parts[0];
    let known: Vec<_> = parts
        .iter()
        .chain(there)
        .filter_map(|part| part.state.sealed())
        .collect();
    let state = match whole.parts {
        Some(wanted) if known.len() < wanted => BackupState::Failed {
            reason: format!("only {} of its {wanted} parts are there", known.len()),
        },
        Some(_) | None => BackupState::Available(sum(&known)),
    };
    let mut backup = first.clone();
    backup.id = id;
    backup.volume_id = whole.server_id;
    backup.volume_name = whole.server_name;
    backup.name = whole.name;
    backup.size = whole.size_gib;
    backup.state = state;
    backup.damage = None;
    backup.cinder = Default::default();
    backup.cbr = CbrFacts {
        kind: ObjectType::Server,
        part_of: None,
        server: whole.server,
        replica: whole.replica,
        ..first.cbr.clone()
    };
    backup
}

fn gib(bytes: u64) -> Gib {
    Gib(u32::try_from(bytes.div_ceil(1 << 30)).unwrap_or(u32::MAX))
}
