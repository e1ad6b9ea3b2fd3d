//! What vaults protect: volumes, servers, file systems, and whether each can be backed up now.

use std::collections::HashMap;

use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, FileSystem, FileSystemId, Gib, ObjectType,
    ProtectStatus, ResourceId, Server, ServerId, SkipReason, VaultResource, Volume, VolumeChoice,
    VolumeStatus,
};

use crate::{CbrError, Service, ServiceError};

/// What a vault's resources call a volume.
pub const VOLUME_RESOURCE: &str = "OS::Cinder::Volume";
/// What they call a server.
pub const SERVER_RESOURCE: &str = "OS::Nova::Server";
/// What they call a file system.
pub const FILE_SYSTEM_RESOURCE: &str = "OS::Sfs::Turbo";

/// Returns what the resources of a vault of a kind are called.
pub fn resource_word(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::Disk => VOLUME_RESOURCE,
        ObjectType::Server => SERVER_RESOURCE,
        ObjectType::Turbo => FILE_SYSTEM_RESOURCE,
    }
}

/// Something that a vault can protect, as the inventory has it now.
#[derive(Debug, Clone)]
pub enum Resource {
    /// A volume.
    Volume(Volume),
    /// A server with its volumes, in the order they were added.
    Server(Server, Vec<Volume>),
    /// A file system.
    FileSystem(FileSystem),
}

impl Resource {
    /// Returns its id.
    pub fn id(&self) -> ResourceId {
        match self {
            Self::Volume(volume) => volume.id.into(),
            Self::Server(server, _) => server.id.into(),
            Self::FileSystem(system) => system.id.into(),
        }
    }

    /// Returns its name.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Volume(volume) => volume.name.clone(),
            Self::Server(server, _) => Some(server.name.clone()),
            Self::FileSystem(system) => Some(system.name.clone()),
        }
    }

    /// Returns the size of what is backed up of it.
    pub fn size(&self, choice: &VolumeChoice) -> Gib {
        match self {
            Self::Volume(volume) => volume.size,
            Self::Server(_, volumes) => size_of(volumes, choice),
            Self::FileSystem(system) => system.size,
        }
    }

    /// Leaves out the volumes of a server that `choice` does not mean.
    fn chosen(self, choice: &VolumeChoice) -> Self {
        match self {
            Self::Server(server, mut volumes) => {
                volumes.retain(|volume| choice.takes(volume.id));
                Self::Server(server, volumes)
            }
            other => other,
        }
    }
}

/// Sums the sizes of the volumes that are meant.
pub(crate) fn size_of(volumes: &[Volume], choice: &VolumeChoice) -> Gib {
    let chosen = volumes.iter().filter(|volume| choice.takes(volume.id));
    Gib(chosen.fold(0, |sum, volume| sum.saturating_add(volume.size.0)))
}

impl Service {
    /// Finds a resource of a kind, whoever's it is.
    pub(crate) async fn resource(
        &self,
        kind: ObjectType,
        id: ResourceId,
    ) -> Result<Option<Resource>, ServiceError> {
        Ok(match kind {
            ObjectType::Disk => self.catalog.volume(id.into()).await?.map(Resource::Volume),
            ObjectType::Server => match self.catalog.server(id.into()).await? {
                Some(server) => {
                    let volumes = self.volumes_of(server.id).await?;
                    Some(Resource::Server(server, volumes))
                }
                None => None,
            },
            ObjectType::Turbo => self
                .catalog
                .file_system(id.into())
                .await?
                .map(Resource::FileSystem),
        })
    }

    /// Finds a resource that the caller's project may put into a vault of its own.
    pub(crate) async fn resource_for_vault(
        &self,
        caller: &Caller,
        kind: ObjectType,
        id: ResourceId,
        choice: &VolumeChoice,
    ) -> Result<Resource, ServiceError> {
        let found = self.resource(kind, id).await?;
        let project = |resource: &Resource| match resource {
            Resource::Volume(volume) => volume.project_id.clone(),
            Resource::Server(server, _) => server.project_id.clone(),
            Resource::FileSystem(system) => system.project_id.clone(),
        };
        // An administrator's eyes reach further than a vault's project does.
        let found = found
            .filter(|resource| project(resource) == caller.project_id)
            .ok_or_else(|| no_such(kind, id))?;
        match &found {
            Resource::Volume(volume) if !may_be_bound(volume.status) => {
                Err(ServiceError::ResourceVolumeStatus {
                    id: volume.id,
                    status: volume.status.as_str(),
                })
            }
            Resource::Server(server, volumes) => {
                let mut meant = volumes.iter().filter(|v| choice.takes(v.id)).peekable();
                if meant.peek().is_none() {
                    return Err(CbrError::NoDisks(server.id).into());
                }
                match meant.find(|volume| !may_be_bound(volume.status)) {
                    Some(volume) => Err(CbrError::ServerStatus {
                        server: server.id,
                        volume: volume.id,
                        status: volume.status.as_str(),
                    }
                    .into()),
                    None => Ok(found),
                }
            }
            Resource::Volume(_) | Resource::FileSystem(_) => Ok(found),
        }
    }
}

/// Tells whether a volume that stands so may be put into a vault.
fn may_be_bound(status: VolumeStatus) -> bool {
    matches!(
        status,
        VolumeStatus::Available | VolumeStatus::InUse | VolumeStatus::BackingUp
    )
}

/// Words the refusal of a resource that is not there.
pub(crate) fn no_such(kind: ObjectType, id: ResourceId) -> ServiceError {
    match kind {
        ObjectType::Disk => ServiceError::NoSuchVolume(id.into()),
        ObjectType::Server => CbrError::NoSuchServer(ServerId::from(id)).into(),
        ObjectType::Turbo => CbrError::NoSuchFileSystem(FileSystemId::from(id)).into(),
    }
}

/// Returns what of a resource can be backed up now, or why it cannot. A server is left out as a
/// whole if one of its volumes cannot: what is not of one instant is no backup of a server.
pub(crate) fn takeable(
    bound: &VaultResource,
    kind: ObjectType,
    found: Option<Resource>,
    choice: &VolumeChoice,
    backups: &[Backup],
) -> Result<Resource, SkipReason> {
    if bound.status == ProtectStatus::Removing {
        return Err(SkipReason::Removing);
    }
    let of_it = || {
        backups
            .iter()
            .filter(|b| b.resource_id() == bound.resource_id)
    };
    if of_it().any(|b| matches!(b.state, BackupState::Queued | BackupState::Copying)) {
        return Err(SkipReason::BackupRunning);
    }
    if kind != ObjectType::Disk && bound.status == ProtectStatus::Restoring {
        return Err(SkipReason::Restoring);
    }
    let found = found.ok_or(match kind {
        ObjectType::Disk => SkipReason::VolumeGone,
        ObjectType::Server => SkipReason::ServerGone,
        ObjectType::Turbo => SkipReason::FileSystemGone,
    })?;
    let found = found.chosen(choice);
    match &found {
        Resource::Volume(volume) => volume_is_takeable(volume, SkipReason::VolumeStatus)?,
        Resource::Server(_, volumes) if volumes.is_empty() => return Err(SkipReason::NoVolumes),
        Resource::Server(_, volumes) => {
            for volume in volumes {
                volume_is_takeable(volume, SkipReason::ServerStatus)?;
            }
        }
        Resource::FileSystem(_) => {}
    }
    Ok(found)
}

fn volume_is_takeable(volume: &Volume, otherwise: SkipReason) -> Result<(), SkipReason> {
    match volume.status {
        VolumeStatus::Available | VolumeStatus::InUse => Ok(()),
        VolumeStatus::BackingUp => Err(SkipReason::BackupRunning),
        VolumeStatus::RestoringBackup => Err(SkipReason::Restoring),
        _ => Err(otherwise),
    }
}

/// Says which resource each backup in a vault counts for: those of a server's volumes for the server.
pub(crate) struct Wholes(HashMap<BackupId, ResourceId>);

impl Wholes {
    /// Reads it off all backups of a vault.
    pub(crate) fn of(backups: &[Backup]) -> Self {
        let wholes = backups.iter().filter(|b| !b.is_of_volume());
        Self(wholes.map(|b| (b.id, b.resource_id())).collect())
    }

    /// Returns what a backup counts for.
    pub(crate) fn resource(&self, backup: &Backup) -> ResourceId {
        let whole = backup.cbr.part_of.and_then(|whole| self.0.get(&whole));
        whole.copied().unwrap_or_else(|| backup.resource_id())
    }
}
