//! The parts of the service as operators of Cinder know them: listed, switched off and on.

use emberkeep_catalog::{CatalogError, Change, Row};
use emberkeep_model::{Caller, ServiceSwitch, Timestamp};

use crate::race::racing;
use crate::refusal::Refusal;
use crate::{Service, ServiceError};

/// A part of the service, by the name of the program it is in Cinder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// Makes, restores and deletes backups.
    Backup,
    /// Places volumes.
    Scheduler,
    /// Keeps volumes.
    Volume,
}

impl Binary {
    /// Every one, in the order of lists.
    pub const ALL: [Self; 3] = [Self::Backup, Self::Scheduler, Self::Volume];

    /// Returns the program's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "cinder-backup",
            Self::Scheduler => "cinder-scheduler",
            Self::Volume => "cinder-volume",
        }
    }

    /// Returns the host it is shown at.
    pub fn host(self) -> &'static str {
        match self {
            Self::Backup | Self::Scheduler => "emberkeep",
            Self::Volume => "emberkeep@files",
        }
    }
}

/// How one part of the service stands. Those that are not switched off are up: this process is all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// Which.
    pub binary: Binary,
    /// It takes no work.
    pub disabled: bool,
    /// Why.
    pub disabled_reason: Option<String>,
    /// When it was last heard of.
    pub updated_at: Timestamp,
}

impl Service {
    /// Lists the parts of the service.
    pub async fn services(&self, caller: &Caller) -> Result<Vec<ServiceState>, ServiceError> {
        self.allow(caller, "volume_extension:services:index")?;
        let switches = self.catalog.service_switches().await?;
        let now = self.now();
        let state = |binary: Binary| {
            let switch = switches.iter().find(|s| s.binary_name == binary.word());
            ServiceState {
                binary,
                disabled: switch.is_some_and(|s| s.disabled),
                disabled_reason: switch.and_then(|s| s.disabled_reason.clone()),
                updated_at: now,
            }
        };
        Ok(Binary::ALL.map(state).to_vec())
    }

    /// Switches a part off, with a reason if one is given, or on again.
    pub async fn switch_service(
        &self,
        caller: &Caller,
        binary: &str,
        host: &str,
        disabled: bool,
        reason: Option<String>,
    ) -> Result<ServiceState, ServiceError> {
        self.allow(caller, "volume_extension:services:update")?;
        let found = Binary::ALL
            .into_iter()
            .find(|one| one.word() == binary && one.host() == host);
        let Some(found) = found else {
            return Err(Refusal::NoSuchServiceAt {
                binary: binary.to_owned(),
                host: host.to_owned(),
            }
            .into());
        };
        racing(|| async {
            let switches = self.catalog.service_switches().await?;
            let known = switches.into_iter().find(|s| s.binary_name == found.word());
            let row = ServiceSwitch {
                binary_name: found.word().to_owned(),
                disabled,
                disabled_reason: reason.clone().filter(|_| disabled),
                updated_at: self.now(),
                revision: known.as_ref().map_or(0, |s| s.revision),
            };
            let state = ServiceState {
                binary: found,
                disabled,
                disabled_reason: row.disabled_reason.clone(),
                updated_at: row.updated_at,
            };
            let row = Row::ServiceSwitch(row);
            let change = match known {
                Some(_) => Change::Save(row),
                None => Change::Insert(row),
            };
            match self.catalog.apply(vec![change]).await {
                Err(CatalogError::Exists { .. }) => Err(ServiceError::Busy),
                other => Ok(other.map(|()| state)?),
            }
        })
        .await
    }

    /// Refuses unless the caller may see where volumes are kept.
    pub fn may_see_pools(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.allow(caller, "scheduler_extension:scheduler_stats:get_pools")
    }

    /// Tells whether a part takes work.
    pub(crate) async fn is_on(&self, binary: Binary) -> Result<bool, ServiceError> {
        let switches = self.catalog.service_switches().await?;
        Ok(!switches
            .iter()
            .any(|s| s.disabled && s.binary_name == binary.word()))
    }

    /// Refuses while a part is switched off.
    pub(crate) async fn must_be_on(&self, binary: Binary) -> Result<(), ServiceError> {
        if self.is_on(binary).await? {
            Ok(())
        } else {
            Err(Refusal::NoSuchService(binary.word().to_owned()).into())
        }
    }
}
