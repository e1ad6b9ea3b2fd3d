//! Servers: sets of volumes that are backed up at one instant. This is the inventory; what is
//! done with servers is done through vaults.

use emberkeep_catalog::{CatalogError, Change, Key, Page, Row};
use emberkeep_model::{
    Caller, Gib, Role, Server, ServerId, ServerVolume, Volume, VolumeId, VolumeStatus,
};
use uuid::Uuid;

use crate::access::require;
use crate::error::invalid;
use crate::pairs;
use crate::query::InventoryQuery;
use crate::race::racing;
use crate::vault::resources::size_of;
use crate::{CbrError, NewServer, Service, ServiceError};
use emberkeep_plan::{make_room, sum_with};

/// The longest name, in characters, and the longest text.
const NAME: usize = 255;
const DESCRIPTION: usize = 255;
/// The most volumes one server has; they are frozen together.
const MAX_VOLUMES: usize = 64;

/// A server with its volumes.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// The server.
    pub server: Server,
    /// Its volumes, in the order they were added.
    pub volumes: Vec<Volume>,
}

impl ServerView {
    /// Returns the word for how it stands: active while any of its volumes is in use.
    pub fn status(&self) -> &'static str {
        server_status(&self.volumes)
    }
}

/// Returns the word for how a server with these volumes stands.
pub(crate) fn server_status(volumes: &[Volume]) -> &'static str {
    if volumes.iter().any(|v| v.status == VolumeStatus::InUse) {
        "ACTIVE"
    } else {
        "SHUTOFF"
    }
}

impl Service {
    /// Makes a server of volumes that are in none.
    pub async fn create_server(
        &self,
        caller: &Caller,
        new: NewServer,
    ) -> Result<ServerView, ServiceError> {
        require(caller, Role::Member, "servers:create")?;
        if new.name.trim().is_empty() || new.name.chars().count() > NAME {
            return Err(invalid("name", format!("must have 1 to {NAME} characters")));
        }
        pairs::check_new(&new.metadata)?;
        let long = |text: &String| text.chars().count() > DESCRIPTION;
        if new.description.as_ref().is_some_and(long) {
            return Err(invalid(
                "description",
                format!("must have at most {DESCRIPTION} characters"),
            ));
        }
        let now = self.now();
        let server = Server {
            id: ServerId(Uuid::new_v4()),
            project_id: caller.project_id.clone(),
            user_id: caller.user_id.clone(),
            name: new.name,
            description: new.description,
            facts: new.facts,
            metadata: new.metadata,
            created_at: now,
            updated_at: None,
            revision: 0,
        };
        let volumes = self
            .volumes_to_add(caller, server.id, 0, &new.volumes)
            .await?;
        let mut changes = vec![Change::Insert(Row::Server(server.clone()))];
        changes.extend(added(server.id, &volumes, now));
        self.commit_volumes(changes).await?;
        Ok(ServerView { server, volumes })
    }

    /// Checks volumes that are to be added to a server: the caller's own, each once, in no server.
    async fn volumes_to_add(
        &self,
        caller: &Caller,
        server: ServerId,
        present: usize,
        ids: &[VolumeId],
    ) -> Result<Vec<Volume>, ServiceError> {
        if present + ids.len() > MAX_VOLUMES {
            return Err(invalid(
                "volumes",
                format!("a server has at most {MAX_VOLUMES}"),
            ));
        }
        let mut volumes: Vec<Volume> = Vec::with_capacity(ids.len());
        for id in ids {
            if volumes.iter().any(|volume| volume.id == *id) {
                return Err(invalid("volumes", format!("{id} is named twice")));
            }
            let volume = self.catalog.volume(*id).await?;
            let volume = volume
                .filter(|volume| volume.project_id == caller.project_id)
                .ok_or(ServiceError::NoSuchVolume(*id))?;
            if let Some(there) = self.catalog.server_of(*id).await?
                && there.server_id != server
            {
                return Err(CbrError::VolumeInServer {
                    volume: *id,
                    server: there.server_id,
                }
                .into());
            }
            volumes.push(volume);
        }
        Ok(volumes)
    }

    /// Commits volumes of servers; somebody else may have put one into another server meanwhile.
    async fn commit_volumes(&self, changes: Vec<Change>) -> Result<(), ServiceError> {
        match self.commit(changes).await {
            Err(ServiceError::Catalog(CatalogError::Exists { .. })) => Err(ServiceError::Busy),
            settled => settled,
        }
    }

    /// Lists the project's servers, newest first.
    pub async fn servers(
        &self,
        caller: &Caller,
        mut query: InventoryQuery<ServerId>,
    ) -> Result<Page<ServerView>, ServiceError> {
        require(caller, Role::Reader, "servers:list")?;
        query.project = Some(caller.project_id.clone());
        let page = self.catalog.servers(&query).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for server in page.items {
            let volumes = self.volumes_of(server.id).await?;
            items.push(ServerView { server, volumes });
        }
        Ok(Page {
            items,
            total: page.total,
            is_cut: page.is_cut,
        })
    }

    /// Shows one server.
    pub async fn server(&self, caller: &Caller, id: ServerId) -> Result<ServerView, ServiceError> {
        let server = self.own_server(caller, id).await?;
        require(caller, Role::Reader, "servers:get")?;
        let volumes = self.volumes_of(id).await?;
        Ok(ServerView { server, volumes })
    }

    /// Adds volumes to a server; those it has already are fine. Where the server is in a vault,
    /// that must have room for them, or grow by itself.
    pub async fn add_server_volumes(
        &self,
        caller: &Caller,
        id: ServerId,
        ids: &[VolumeId],
    ) -> Result<ServerView, ServiceError> {
        racing(|| async {
            let mut server = self.own_server(caller, id).await?;
            require(caller, Role::Member, "servers:update")?;
            let present = self.volumes_of(id).await?;
            let new: Vec<VolumeId> = ids
                .iter()
                .copied()
                .filter(|id| !present.iter().any(|volume| volume.id == *id))
                .collect();
            let new = self.volumes_to_add(caller, id, present.len(), &new).await?;
            let now = self.now();
            let mut volumes = present;
            let mut changes = added(id, &new, now);
            volumes.extend(new);
            changes.extend(self.resource_resized(id, &volumes).await?);
            server.updated_at = Some(now);
            // Fences against the server being deleted or entering a vault meanwhile.
            changes.push(Change::Save(Row::Server(server.clone())));
            self.commit_volumes(changes).await?;
            Ok(ServerView { server, volumes })
        })
        .await
    }

    /// Takes volumes out of a server; their backups stay.
    pub async fn remove_server_volumes(
        &self,
        caller: &Caller,
        id: ServerId,
        ids: &[VolumeId],
    ) -> Result<ServerView, ServiceError> {
        racing(|| async {
            let mut server = self.own_server(caller, id).await?;
            require(caller, Role::Member, "servers:update")?;
            let mut changes = Vec::new();
            let mut volumes = self.volumes_of(id).await?;
            for volume in ids {
                let there = self.catalog.server_of(*volume).await?;
                let Some(row) = there.filter(|row| row.server_id == id) else {
                    return Err(ServiceError::NoSuchVolume(*volume));
                };
                volumes.retain(|v| v.id != *volume);
                changes.push(Change::Remove(Key::ServerVolume(*volume), row.revision));
            }
            changes.extend(self.resource_resized(id, &volumes).await?);
            server.updated_at = Some(self.now());
            changes.push(Change::Save(Row::Server(server.clone())));
            self.commit(changes).await?;
            Ok(ServerView { server, volumes })
        })
        .await
    }

    /// Deletes a server, not its volumes. Its backups stay in their vault, and so does its place
    /// there, until that is removed.
    pub async fn delete_server(&self, caller: &Caller, id: ServerId) -> Result<(), ServiceError> {
        racing(|| async {
            let server = self.own_server(caller, id).await?;
            require(caller, Role::Member, "servers:delete")?;
            let rows = self.catalog.server_volumes(id).await?;
            let mut changes: Vec<Change> = rows
                .iter()
                .map(|row| Change::Remove(Key::ServerVolume(row.volume_id), row.revision))
                .collect();
            changes.push(Change::Remove(Key::Server(id), server.revision));
            self.commit(changes).await
        })
        .await
    }

    async fn own_server(&self, caller: &Caller, id: ServerId) -> Result<Server, ServiceError> {
        let found = self.catalog.server(id).await?;
        found
            .filter(|server| server.project_id == caller.project_id)
            .ok_or_else(|| CbrError::NoSuchServer(id).into())
    }

    /// Lists the volumes of a server, in the order they were added.
    pub(crate) async fn volumes_of(&self, id: ServerId) -> Result<Vec<Volume>, ServiceError> {
        let mut volumes = Vec::new();
        for row in self.catalog.server_volumes(id).await? {
            volumes.extend(self.catalog.volume(row.volume_id).await?);
        }
        Ok(volumes)
    }

    /// Returns the changes that follow for a server's place in a vault from the volumes that it
    /// will have; refuses what the vault has no room for.
    pub(crate) async fn resource_resized(
        &self,
        id: ServerId,
        volumes: &[Volume],
    ) -> Result<Vec<Change>, ServiceError> {
        let Some(mut resource) = self.catalog.vault_resource(id.into()).await? else {
            return Ok(Vec::new());
        };
        let size = size_of(volumes, &resource.choice);
        if size == resource.size {
            return Ok(Vec::new());
        }
        let mut changes = Vec::new();
        if size > resource.size
            && let Some(mut vault) = self.catalog.vault(resource.vault_id).await?
        {
            let others = self.catalog.vault_resources(vault.id).await?;
            make_room(&mut vault, sum_with(&others, resource.resource_id, size))?;
            changes.push(Change::Save(Row::Vault(vault)));
        }
        resource.size = size;
        changes.push(Change::Save(Row::VaultResource(resource)));
        Ok(changes)
    }

    /// Makes room in its server's vault for a volume that is to grow.
    pub(crate) async fn server_room_for_growth(
        &self,
        volume: VolumeId,
        size: Gib,
    ) -> Result<Vec<Change>, ServiceError> {
        match self.server_with(volume, size).await? {
            Some((server, volumes)) => self.resource_resized(server, &volumes).await,
            None => Ok(Vec::new()),
        }
    }

    /// Returns the change by which a server's vault counts a volume of it as large as it is now.
    /// What has grown by other means is counted, even if there is no room: the vault then takes
    /// no backups until somebody makes some.
    pub(crate) async fn server_sized(
        &self,
        volume: VolumeId,
        size: Gib,
    ) -> Result<Option<Change>, ServiceError> {
        let Some((server, volumes)) = self.server_with(volume, size).await? else {
            return Ok(None);
        };
        let found = self.catalog.vault_resource(server.into()).await?;
        Ok(found.and_then(|mut resource| {
            let size = size_of(&volumes, &resource.choice);
            (size != resource.size).then(|| {
                resource.size = size;
                Change::Save(Row::VaultResource(resource))
            })
        }))
    }

    /// Returns the server that a volume belongs to with all its volumes, this one taken for `size`.
    /// One that is growing counts as large as it will be.
    async fn server_with(
        &self,
        volume: VolumeId,
        size: Gib,
    ) -> Result<Option<(ServerId, Vec<Volume>)>, ServiceError> {
        let Some(row) = self.catalog.server_of(volume).await? else {
            return Ok(None);
        };
        let mut volumes = self.volumes_of(row.server_id).await?;
        for other in &mut volumes {
            other.size = if other.id == volume {
                size
            } else {
                other.growing_to.unwrap_or(other.size)
            };
        }
        Ok(Some((row.server_id, volumes)))
    }

    /// Returns the changes of a volume's server that follow when the volume is gone.
    pub(crate) async fn volume_leaves_server(
        &self,
        volume: VolumeId,
    ) -> Result<Vec<Change>, ServiceError> {
        let Some(row) = self.catalog.server_of(volume).await? else {
            return Ok(Vec::new());
        };
        let mut left = self.volumes_of(row.server_id).await?;
        left.retain(|v| v.id != volume);
        let mut changes = self.resource_resized(row.server_id, &left).await?;
        changes.push(Change::Remove(Key::ServerVolume(volume), row.revision));
        Ok(changes)
    }
}

fn added(server: ServerId, volumes: &[Volume], now: emberkeep_model::Timestamp) -> Vec<Change> {
    volumes
        .iter()
        .map(|volume| {
            Change::Insert(Row::ServerVolume(ServerVolume {
                volume_id: volume.id,
                server_id: server,
                created_at: now,
                revision: 0,
            }))
        })
        .collect()
}
