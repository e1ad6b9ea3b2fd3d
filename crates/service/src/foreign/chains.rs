//! The chains that backups in Cinder's format are in: which backup builds on which.

use std::collections::HashSet;

use emberkeep_catalog::{BackupQuery, Change, Row};
use emberkeep_model::{Backup, BackupId, Foreign, ForeignPlace};

use crate::foreign::repository::ForeignRepository;
use crate::refusal::Refusal;
use crate::{Service, ServiceError};

impl Service {
    /// Tells where Cinder's drivers keep backups; none unless told so.
    #[must_use]
    pub fn with_foreign(mut self, repositories: Vec<ForeignRepository>) -> Self {
        self.foreign = repositories.into();
        self
    }

    /// Returns where a backup that lies elsewhere and those it builds on lie, newest first. It
    /// ends where a parent was never imported.
    pub(crate) async fn places_of(
        &self,
        backup: &Backup,
    ) -> Result<(Vec<ForeignPlace>, Option<Refusal>), ServiceError> {
        let mut places = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(backup.clone());
        while let Some(row) = next {
            let (Some(Foreign::Kept(place) | Foreign::Adopted(place)), true) =
                (row.cinder.foreign, seen.insert(row.id))
            else {
                break;
            };
            places.push(place);
            let Some(parent) = row.parent_id else {
                break;
            };
            // Also a row that was deleted: what it speaks of stays where it is.
            let found = self.catalog.backup(parent).await?;
            let found = found.filter(|found| found.cinder.foreign.is_some());
            if found.is_none() {
                let missing = Refusal::ParentMissing {
                    backup: row.id,
                    parent,
                };
                return Ok((places, Some(missing)));
            }
            next = found;
        }
        Ok((places, None))
    }

    /// Refuses a backup that lies elsewhere and builds on one that is not known here.
    pub(crate) async fn chain_is_whole(&self, backup: &Backup) -> Result<(), ServiceError> {
        if backup.foreign().is_none() {
            return Ok(());
        }
        match self.places_of(backup).await? {
            (_, Some(missing)) => Err(missing.into()),
            (_, None) => Ok(()),
        }
    }

    /// Lists the backups that lie elsewhere and build on this one, whoever's they are.
    pub(crate) async fn foreign_children(
        &self,
        parent: BackupId,
    ) -> Result<Vec<Backup>, ServiceError> {
        let query = BackupQuery {
            parent: Some(parent),
            ..BackupQuery::default()
        };
        let mut children = self.catalog.backups(&query).await?.items;
        children.retain(|child| child.foreign().is_some());
        Ok(children)
    }

    /// Returns the change of what the parent of `child` counts, once `child` builds on it (1) or
    /// no longer does (-1). A record may count children that are not here; those that are count
    /// in any case.
    pub(crate) async fn count_foreign(
        &self,
        child: &Backup,
        change: i64,
    ) -> Result<Option<Change>, ServiceError> {
        let Some(parent) = child.parent_id else {
            return Ok(None);
        };
        let found = self.catalog.backup(parent).await?;
        let Some(mut parent) =
            found.filter(|parent| parent.deleted_at.is_none() && parent.foreign().is_some())
        else {
            return Ok(None);
        };
        let children = self.foreign_children(parent.id).await?;
        let others = children.iter().filter(|other| other.id != child.id).count();
        let here = i64::try_from(others).unwrap_or(i64::MAX) + change.max(0);
        let counted = parent.cinder.num_dependent_backups + change.min(0);
        parent.cinder.num_dependent_backups = counted.max(here);
        parent.updated_at = Some(self.now());
        Ok(Some(Change::Save(Row::Backup(parent))))
    }
}
