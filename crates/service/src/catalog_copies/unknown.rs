//! Tells whether a catalog is the one that its repository was last used with.

use std::collections::{BTreeMap, BTreeSet};

use emberkeep_catalog::{CatalogFile, StateName};
use emberkeep_engine::{CatalogCopy, CatalogCopyName, Manifest, Repository, RepositoryError};
use emberkeep_model::BackupId;

use super::copies::CatalogCopyError;

/// Backups in a store that a catalog has no rows of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknown {
    /// Their ids by project.
    pub backups: BTreeMap<String, Vec<BackupId>>,
}

impl Unknown {
    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.backups.values().map(Vec::len).sum()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.backups.is_empty()
    }
}

/// Finds the backups in the store that a service made and that its catalog, if there is one, has no
/// row of and was not told to leave alone. Blocks.
pub fn unknown_backups(
    catalog: Option<&CatalogFile>,
    repository: &Repository,
) -> Result<Unknown, CatalogCopyError> {
    let mut known = BTreeSet::new();
    if let Some(catalog) = catalog {
        known = catalog.backup_ids()?;
        let accepted = catalog.state(StateName::Accepted)?.unwrap_or_default();
        known.extend(
            accepted
                .split_whitespace()
                .filter_map(|id| id.parse::<BackupId>().ok()),
        );
    }
    let mut unknown = Unknown::default();
    for project in repository.projects()? {
        let mut found = Vec::new();
        for id in project.backup_ids()? {
            if known.contains(&id) {
                continue;
            }
            match project.manifest(id) {
                Ok(manifest) if is_of_this_service(&manifest) => found.push(id),
                Ok(_) | Err(RepositoryError::NoSuchBackup(_)) => {}
                Err(RepositoryError::Damaged(damage)) => {
                    tracing::warn!(
                        backup_id = %id,
                        project_id = project.project(),
                        %damage,
                        "a backup that the catalog does not know has a damaged manifest"
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !found.is_empty() {
            unknown.backups.insert(project.project().to_owned(), found);
        }
    }
    Ok(unknown)
}

/// Tells backups of the service apart from those of `emberkeep repo`, which remember no row, and
/// from copies that another region's service put here.
pub(super) fn is_of_this_service(manifest: &Manifest) -> bool {
    let extra = &manifest.extra;
    let is_copy = extra
        .get("replica")
        .is_some_and(|replica| !replica.is_null());
    extra.contains_key("user_id") && !is_copy
}

/// Returns the latest copy in the store if a catalog does not know of it: the catalog is older than
/// that copy, or another one. Blocks.
pub fn newer_copy(
    catalog: Option<&CatalogFile>,
    repository: &Repository,
) -> Result<Option<CatalogCopy>, CatalogCopyError> {
    let Some(latest) = repository.catalog_copies()?.pop() else {
        return Ok(None);
    };
    let known = match catalog {
        Some(catalog) => catalog.state(StateName::LastCopy)?,
        None => None,
    };
    let known = known.and_then(|text| text.parse::<CatalogCopyName>().ok());
    let is_known =
        known.is_some_and(|known| known == latest.name || known.number > latest.name.number);
    Ok((!is_known).then_some(latest))
}
