//! Where the content of backups lies: at home or in another region.

use emberkeep_model::Backup;

use crate::replica::regions::{Place, Regions};
use crate::{CbrError, Service, ServiceError};

impl Service {
    /// Gives the service other regions to copy to.
    #[must_use]
    pub fn with_regions(mut self, regions: Regions) -> Self {
        self.regions = regions.into();
        self
    }

    /// Returns the service's own region and the others.
    pub fn regions(&self) -> &Regions {
        &self.regions
    }

    /// Says where the content of a backup lies.
    pub(crate) fn place_of(&self, backup: &Backup) -> Result<Place, ServiceError> {
        let (project, _) = backup.content();
        let region = backup.cbr.replica.as_ref().map(|replica| &replica.region);
        self.place_in(region.map(String::as_str), project.as_str())
    }

    /// Says where a project's backups lie in a region, or at home.
    pub(crate) fn place_in(
        &self,
        region: Option<&str>,
        project: &str,
    ) -> Result<Place, ServiceError> {
        let away = match region {
            Some(region) => {
                let found = self.regions.others.get(region).cloned();
                Some(found.ok_or_else(|| CbrError::NoSuchRegion(region.to_owned()))?)
            }
            None => None,
        };
        Ok(Place::new(self.repository.clone(), away, project))
    }
}
