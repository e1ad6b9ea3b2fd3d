//! Writes copies of the catalog.

use emberkeep_catalog::{CatalogFile, CatalogFileError, StateName};
use emberkeep_engine::{CatalogCopy, CatalogCopyName, CatalogSection, Repository, RepositoryError};

/// Why a copy was not written, or a catalog could not be compared with the store.
#[derive(Debug, thiserror::Error)]
pub enum CatalogCopyError {
    /// The catalog's file failed.
    #[error(transparent)]
    File(#[from] CatalogFileError),
    /// The repository failed.
    #[error("the repository failed")]
    Repository(#[from] RepositoryError),
    /// The thread that did it ended badly.
    #[error("copying the catalog was interrupted")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Writes copies of one catalog to one repository. Two writers at once do no harm.
#[derive(Debug, Clone)]
pub struct CatalogCopies {
    file: CatalogFile,
    repository: Repository,
    keep: usize,
}

impl CatalogCopies {
    /// Joins a catalog and the repository that gets its copies, of which the latest `keep` stay.
    pub fn new(file: CatalogFile, repository: Repository, keep: usize) -> Self {
        Self {
            file,
            repository,
            keep: keep.max(1),
        }
    }

    /// Returns the catalog's file.
    pub fn file(&self) -> &CatalogFile {
        &self.file
    }

    /// Returns the repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Writes a copy, then removes older ones beyond those that are kept. Blocks.
    pub fn write(&self) -> Result<CatalogCopy, CatalogCopyError> {
        self.write_keeping(self.keep)
    }

    /// Writes a copy, then removes all others: what they hold is not to come back. Blocks.
    pub fn replace(&self) -> Result<CatalogCopy, CatalogCopyError> {
        self.write_keeping(1)
    }

    fn write_keeping(&self, keep: usize) -> Result<CatalogCopy, CatalogCopyError> {
        let there = self.repository.catalog_copies()?;
        let known = self.file.state(StateName::LastCopy)?;
        let known = known.and_then(|text| text.parse::<CatalogCopyName>().ok());
        let highest = there.last().map(|copy| copy.name).max(known);
        let name = CatalogCopyName::after(highest.map_or(0, |name| name.number));
        // Before the copy exists: an older catalog is recognized by not knowing the name.
        self.file
            .set_state(StateName::LastCopy, &name.to_string())?;
        let exported = self.file.export()?;
        let sections = exported.into_iter().map(|rows| CatalogSection {
            project: rows.project,
            text: rows.text,
        });
        let copy = self.repository.put_catalog_copy(name, sections.collect())?;
        let spare = (there.len() + 1).saturating_sub(keep);
        let old: Vec<CatalogCopyName> = there.iter().take(spare).map(|copy| copy.name).collect();
        self.repository.delete_catalog_copies(&old)?;
        Ok(copy)
    }
}
