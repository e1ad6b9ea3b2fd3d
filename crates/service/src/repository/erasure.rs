//! Erasing a project: its key goes, and with it all that can be read of its backups.

use emberkeep_catalog::BackupQuery;
use emberkeep_engine::{Erased, RepositoryError};
use emberkeep_model::{Caller, ProjectId, Role};

use crate::access::require;
use crate::error::invalid;
use crate::replica::regions::Place;
use crate::{Service, ServiceError};

/// What was erased, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// In this region and all others.
    pub what: Erased,
    /// It was done, not only counted.
    pub done: bool,
}

impl Service {
    /// Erases all that a project has stored, in every region, for ever; without `confirm` it is
    /// counted only. Confirming means to give the project's id once more.
    ///
    /// Its backups are asked to be deleted first, so that none is shown that nobody can read. A
    /// lock, a running backup or an instant restore is a reason to refuse all of it.
    pub async fn erase_project(
        &self,
        caller: &Caller,
        project: &ProjectId,
        confirm: Option<&str>,
    ) -> Result<Erasure, ServiceError> {
        require(caller, Role::Admin, "project:erase")?;
        let would = self.in_every_region(project, Place::erasable).await?;
        if !would.had_key && would.objects == 0 {
            return Err(ServiceError::NoSuchProject(project.to_string()));
        }
        match confirm {
            None => {
                return Ok(Erasure {
                    what: would,
                    done: false,
                });
            }
            Some(again) if again == project.as_str() => {}
            Some(_) => return Err(invalid("confirm", "must be the project's id once more")),
        }
        let query = BackupQuery {
            project: Some(project.clone()),
            ..BackupQuery::default()
        };
        let backups = self.catalog.backups(&query).await?.items;
        for backup in &backups {
            self.refuse_locked(backup).await?;
            self.not_filled_from(backup)?;
            if backup.state.is_busy() {
                let words = format!("its backup {} is being worked on", backup.id);
                return Err(invalid("project_id", words));
            }
        }
        let own = Caller {
            project_id: project.clone(),
            ..caller.clone()
        };
        for backup in backups.iter().filter(|backup| backup.cbr.part_of.is_none()) {
            self.force_delete_backup(&own, backup.id).await?;
        }
        tracing::warn!(project_id = %project, backups = would.backups, "a project is erased");
        let erased = self.in_every_region(project, Place::erase).await?;
        if erased.copies_stay_readable {
            tracing::warn!(
                project_id = %project,
                "copies of the store made before this erasure can still be opened with the master key; change it with `emberkeep repo rotate-key`, and destroy the old one"
            );
        }
        // Copies of the catalog from before hold the project's rows under its key, which is gone.
        self.replace_catalog_copies().await?;
        self.nudge.notify_one();
        Ok(Erasure {
            what: Erased {
                copies_stay_readable: erased.copies_stay_readable,
                ..would
            },
            done: true,
        })
    }

    async fn in_every_region(
        &self,
        project: &ProjectId,
        act: fn(&Place) -> Result<Erased, RepositoryError>,
    ) -> Result<Erased, ServiceError> {
        let mut places = vec![self.place_in(None, project.as_str())?];
        for region in self.regions.others.keys() {
            places.push(self.place_in(Some(region), project.as_str())?);
        }
        self.blocking("erasing a project", move || {
            let mut sum = Erased::default();
            for place in &places {
                let found = act(place)?;
                sum.had_key |= found.had_key;
                sum.backups += found.backups;
                sum.objects += found.objects;
                sum.bytes += found.bytes;
                sum.copies_stay_readable |= found.copies_stay_readable;
            }
            Ok::<_, RepositoryError>(sum)
        })
        .await
    }
}
