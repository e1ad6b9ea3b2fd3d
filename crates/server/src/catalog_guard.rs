//! What is looked at before a catalog is served: that its file is whole, and that it is the one
//! that the repository was last used with.

use std::path::Path;

use emberkeep_catalog::{CatalogFile, CatalogFileError, CheckDepth, SqliteCatalog, StateName};
use emberkeep_engine::{CatalogCopyName, Repository};
use emberkeep_service::{CatalogCopyError, Unknown, newer_copy, unknown_backups};

use crate::StartError;
use crate::catalog_place::keep_lone_log;

/// Up to this size every index is compared with its table at each start; the daily check does so always.
const WHOLE_CHECK: u64 = 64 << 20;

/// Opens the catalog, unless it is damaged or is not the one that the repository was last used with.
pub(crate) async fn open_catalog(
    file: &CatalogFile,
    repository: &Repository,
    accept: bool,
) -> Result<SqliteCatalog, StartError> {
    check_file(file).await?;
    keep_lone_log(file.path())?;
    let (catalog, behind) = if file.exists() {
        let catalog = SqliteCatalog::open(file.path()).await?;
        let found = Behind::find(Some(file), repository).await;
        match found.and_then(|behind| behind.refuse(file, accept).map(|()| behind)) {
            Ok(behind) => (catalog, behind),
            Err(refusal) => {
                // Nothing is left in a log beside the file.
                catalog.close().await;
                return Err(refusal);
            }
        }
    } else {
        // A refused start makes no catalog.
        let behind = Behind::find(None, repository).await?;
        behind.refuse(file, accept)?;
        (SqliteCatalog::open(file.path()).await?, behind)
    };
    behind.accept(file).await?;
    Ok(catalog)
}

/// Refuses a damaged file; one that is not there is fine.
pub(crate) async fn check_file(file: &CatalogFile) -> Result<(), StartError> {
    if !file.exists() {
        return Ok(());
    }
    let depth = match file.size() {
        size if size <= WHOLE_CHECK => CheckDepth::Whole,
        _ => CheckDepth::Structure,
    };
    let checked = file.clone();
    let outcome = tokio::task::spawn_blocking(move || checked.check(depth)).await;
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(CatalogFileError::Damaged { path, findings })) => {
            Err(StartError::CatalogDamaged { path, findings })
        }
        Ok(Err(cause)) => Err(StartError::CatalogFile(cause)),
        Err(panicked) => Err(interrupted(panicked)),
    }
}

/// What a catalog does not know of its repository.
#[derive(Debug, Default)]
struct Behind {
    unknown: Unknown,
    newer: Option<CatalogCopyName>,
}

impl Behind {
    /// Compares a catalog with the store; `None` is a catalog that does not exist yet.
    async fn find(file: Option<&CatalogFile>, repository: &Repository) -> Result<Self, StartError> {
        let (file, repository) = (file.cloned(), repository.clone());
        let found = tokio::task::spawn_blocking(move || {
            Ok::<_, CatalogCopyError>(Self {
                unknown: unknown_backups(file.as_ref(), &repository)?,
                newer: newer_copy(file.as_ref(), &repository)?.map(|copy| copy.name),
            })
        });
        match found.await {
            Ok(Ok(found)) => Ok(found),
            // A store that cannot be read keeps nobody from starting; what is damaged in it is
            // found and told by others.
            Ok(Err(CatalogCopyError::Repository(error))) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the catalog could not be compared with the store"
                );
                Ok(Self::default())
            }
            Ok(Err(CatalogCopyError::File(cause))) => Err(StartError::CatalogFile(cause)),
            Ok(Err(CatalogCopyError::Interrupted(cause))) => Err(StartError::Interrupted(cause)),
            Err(panicked) => Err(interrupted(panicked)),
        }
    }

    /// Refuses to go on with a catalog that is behind, unless that was accepted.
    fn refuse(&self, file: &CatalogFile, accept: bool) -> Result<(), StartError> {
        if accept || (self.unknown.is_empty() && self.newer.is_none()) {
            return Ok(());
        }
        Err(StartError::CatalogBehind {
            path: file.path().to_owned(),
            backups: self.unknown.count(),
            projects: self.unknown.backups.len(),
            newer: self.newer.map(|name| name.to_string()),
        })
    }

    /// Has the catalog remember that what it does not know was accepted.
    async fn accept(self, file: &CatalogFile) -> Result<(), StartError> {
        if self.unknown.is_empty() && self.newer.is_none() {
            return Ok(());
        }
        tracing::warn!(
            backups = self.unknown.count(),
            newer_copy = self.newer.map(|name| name.to_string()),
            "the catalog was accepted as it is: backups that it does not know stay in the store, and no list shows them"
        );
        let file = file.clone();
        let stored = tokio::task::spawn_blocking(move || {
            let before = file.state(StateName::Accepted)?.unwrap_or_default();
            let ids = self.unknown.backups.into_values().flatten();
            let words: Vec<String> = before
                .split_whitespace()
                .map(str::to_owned)
                .chain(ids.map(|id| id.to_string()))
                .collect();
            file.set_state(StateName::Accepted, &words.join(" "))?;
            match self.newer {
                Some(name) => file.set_state(StateName::LastCopy, &name.to_string()),
                None => Ok(()),
            }
        });
        match stored.await {
            Ok(stored) => stored.map_err(StartError::CatalogFile),
            Err(panicked) => Err(interrupted(panicked)),
        }
    }
}

fn interrupted(panicked: tokio::task::JoinError) -> StartError {
    StartError::Interrupted(Box::new(panicked))
}

/// Words what a catalog does not know.
pub(crate) fn behind(path: &Path, backups: usize, projects: usize, newer: Option<&str>) -> String {
    let plural = |count, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let what = match path.exists() {
        true => format!("the catalog {}", path.display()),
        false => format!("the missing catalog {}", path.display()),
    };
    let unknown = (backups > 0).then(|| {
        let verb = if backups == 1 { "is" } else { "are" };
        let (backups, projects) = (plural(backups, "backup"), plural(projects, "project"));
        format!("{backups} of {projects} in the store {verb} unknown to {what}")
    });
    match (unknown, newer) {
        (Some(unknown), None) => unknown,
        (Some(unknown), Some(copy)) => {
            format!("{unknown}, and copy {copy} in the store is newer than it")
        }
        (None, copy) => format!(
            "copy {} in the store is newer than {what}",
            copy.unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_told_in_numbers() {
        let path = Path::new("/nowhere/catalogue.db");
        for (backups, projects, newer, want) in [
            (
                42,
                3,
                None,
                "42 backups of 3 projects in the store are unknown to the missing catalog /nowhere/catalogue.db",
            ),
            (
                1,
                1,
                Some("7.ab"),
                "1 backup of 1 project in the store is unknown to the missing catalog /nowhere/catalogue.db, and copy 7.ab in the store is newer than it",
            ),
            (
                0,
                0,
                Some("7.ab"),
                "copy 7.ab in the store is newer than the missing catalog /nowhere/catalogue.db",
            ),
        ] {
            assert_eq!(behind(path, backups, projects, newer), want);
        }
    }
}
