//! The other regions: stores that take copies of backups.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_engine::{Erased, ProjectRepository, Repository, RepositoryError};

/// The region of this service, and the others that it can copy to.
#[derive(Debug, Clone)]
pub struct Regions {
    /// The region that the service is in.
    pub own: String,
    /// The others.
    pub others: BTreeMap<String, Region>,
}

impl Default for Regions {
    fn default() -> Self {
        Self {
            own: "RegionOne".into(),
            others: BTreeMap::new(),
        }
    }
}

/// Opens the repository of a region, or says why it cannot be had just now.
type Open = dyn Fn() -> Result<Repository, RepositoryError> + Send + Sync;

/// Another region's repository, opened when it is first needed: that one being out of reach keeps
/// no service from starting.
#[derive(Clone)]
pub struct Region {
    open: Arc<Open>,
    opened: Arc<Mutex<Option<Repository>>>,
}

impl Region {
    /// Takes what opens the repository.
    pub fn new(
        open: impl Fn() -> Result<Repository, RepositoryError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            open: Arc::new(open),
            opened: Arc::default(),
        }
    }

    /// Returns the repository; blocks.
    fn repository(&self) -> Result<Repository, RepositoryError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = &*opened {
            return Ok(repository.clone());
        }
        let repository = (self.open)()?;
        *opened = Some(repository.clone());
        Ok(repository)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Region(..)")
    }
}

/// Where a project's backups lie: at home or in another region.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    home: Repository,
    away: Option<Region>,
    project: String,
}

impl Place {
    /// Names a project's repository: at home, or in another region.
    pub(crate) fn new(home: Repository, away: Option<Region>, project: &str) -> Self {
        Self {
            home,
            away,
            project: project.to_owned(),
        }
    }

    fn repository(&self) -> Result<Repository, RepositoryError> {
        match &self.away {
            Some(away) => away.repository(),
            None => Ok(self.home.clone()),
        }
    }

    /// Counts what the project has there; blocks.
    pub(crate) fn erasable(&self) -> Result<Erased, RepositoryError> {
        self.repository()?.erasable(&self.project)
    }

    /// Erases the project there; blocks.
    pub(crate) fn erase(&self) -> Result<Erased, RepositoryError> {
        self.repository()?.erase_project(&self.project)
    }

    /// Opens the project there; blocks.
    pub(crate) fn open(&self) -> Result<ProjectRepository, RepositoryError> {
        match &self.away {
            Some(away) => away.repository()?.project_as_in(&self.home, &self.project),
            None => self.home.project(&self.project),
        }
    }
}
