//! What there is to protect, and what of it is protected by which vault (`cbr-v3.md §2.10`).

use emberkeep_catalog::{InventoryQuery, Page, Paging, VolumeQuery};
use emberkeep_model::{Caller, FileSystemId, ObjectType, ResourceId, Role, ServerId};

use crate::access::require;
use crate::server::commands::server_status;
use crate::vault::resources::no_such;
use crate::{Resource, Service, ServiceError, VaultView};

/// Something that can be protected.
#[derive(Debug, Clone)]
pub struct ProtectableView {
    /// The volume, server or file system.
    pub resource: Resource,
    /// The vault it is in.
    pub vault: Option<VaultView>,
}

/// Which of them are wanted.
#[derive(Debug, Clone, Default)]
pub struct ProtectableQuery {
    /// Only this one.
    pub id: Option<ResourceId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// With this status, as [`ProtectableView::status`] says.
    pub status: Option<String>,
    /// Volumes of this server.
    pub server: Option<ServerId>,
    /// Page.
    pub paging: Paging<ResourceId>,
}

impl ProtectableView {
    /// Returns the status that its own service shows: a server is active while any of its
    /// volumes is in use.
    pub fn status(&self) -> &'static str {
        match &self.resource {
            Resource::Volume(volume) => volume.status.as_str(),
            Resource::Server(_, volumes) => server_status(volumes),
            Resource::FileSystem(_) => "available",
        }
    }
}

impl Service {
    /// Lists resources of a kind with the vaults they are in, newest first.
    pub async fn protectables(
        &self,
        caller: &Caller,
        kind: ObjectType,
        query: ProtectableQuery,
    ) -> Result<Page<ProtectableView>, ServiceError> {
        require(caller, Role::Reader, "cbr:vaults:listProtectables")?;
        match kind {
            ObjectType::Disk => self.protectable_volumes(caller, query).await,
            ObjectType::Server | ObjectType::Turbo if query.server.is_some() => Ok(Page {
                items: Vec::new(),
                total: Some(0),
                is_cut: false,
            }),
            ObjectType::Server => self.protectable_servers(caller, query).await,
            ObjectType::Turbo => self.protectable_file_systems(caller, query).await,
        }
    }

    async fn protectable_volumes(
        &self,
        caller: &Caller,
        query: ProtectableQuery,
    ) -> Result<Page<ProtectableView>, ServiceError> {
        let mut ids = query.id.map(|id| vec![id.into()]);
        if let Some(server) = query.server {
            let of_it = self.catalog.server_volumes(server).await?;
            let of_it = of_it.into_iter().map(|row| row.volume_id);
            ids = Some(match ids {
                Some(asked) => of_it.filter(|id| asked.contains(id)).collect(),
                None => of_it.collect(),
            });
        }
        let page = self
            .catalog
            .volumes(&VolumeQuery {
                project: Some(caller.project_id.clone()),
                name: query.name,
                status: query.status,
                ids,
                paging: paging(query.paging),
                ..VolumeQuery::default()
            })
            .await?;
        let items = page.items.into_iter().map(Resource::Volume).collect();
        self.protectable_page(items, page.total).await
    }

    /// A server's status is not in its row: where one is asked for, the page is cut here.
    async fn protectable_servers(
        &self,
        caller: &Caller,
        query: ProtectableQuery,
    ) -> Result<Page<ProtectableView>, ServiceError> {
        let cut = query.status.is_some();
        let asked: Paging<ServerId> = paging(query.paging);
        let page = self
            .catalog
            .servers(&InventoryQuery {
                project: Some(caller.project_id.clone()),
                name: query.name,
                ids: query.id.into_iter().map(Into::into).collect(),
                paging: if cut {
                    Paging::default()
                } else {
                    asked.clone()
                },
            })
            .await?;
        let mut items = Vec::with_capacity(page.items.len());
        for server in page.items {
            let volumes = self.volumes_of(server.id).await?;
            items.push(Resource::Server(server, volumes));
        }
        let mut page = self.protectable_page(items, page.total).await?;
        if let Some(status) = query.status {
            page.items.retain(|item| item.status() == status);
            page.total = Some(page.items.len() as u64);
            if let Some(marker) = asked.marker {
                let marker = ResourceId::from(marker);
                let seen = page.items.iter().position(|i| i.resource.id() == marker);
                let seen = seen.map_or(page.items.len(), |place| place + 1);
                page.items.drain(..seen);
            }
            let skip = usize::try_from(asked.offset).unwrap_or(usize::MAX);
            page.items.drain(..skip.min(page.items.len()));
            if let Some(limit) = asked.limit {
                page.items.truncate(limit as usize);
            }
        }
        Ok(page)
    }

    async fn protectable_file_systems(
        &self,
        caller: &Caller,
        query: ProtectableQuery,
    ) -> Result<Page<ProtectableView>, ServiceError> {
        if query.status.is_some_and(|status| status != "available") {
            return Ok(Page {
                items: Vec::new(),
                total: Some(0),
                is_cut: false,
            });
        }
        let page = self
            .catalog
            .file_systems(&InventoryQuery::<FileSystemId> {
                project: Some(caller.project_id.clone()),
                name: query.name,
                ids: query.id.into_iter().map(Into::into).collect(),
                paging: paging(query.paging),
            })
            .await?;
        let items = page.items.into_iter().map(Resource::FileSystem).collect();
        self.protectable_page(items, page.total).await
    }

    async fn protectable_page(
        &self,
        resources: Vec<Resource>,
        total: Option<u64>,
    ) -> Result<Page<ProtectableView>, ServiceError> {
        let mut items = Vec::with_capacity(resources.len());
        for resource in resources {
            items.push(self.protectable_view(resource).await?);
        }
        Ok(Page {
            items,
            total,
            is_cut: false,
        })
    }

    /// Shows one resource with the vault it is in.
    pub async fn protectable(
        &self,
        caller: &Caller,
        kind: ObjectType,
        id: ResourceId,
    ) -> Result<ProtectableView, ServiceError> {
        require(caller, Role::Reader, "cbr:vaults:getProtectables")?;
        let found = self.resource(kind, id).await?.filter(|found| match found {
            Resource::Volume(volume) => volume.project_id == caller.project_id,
            Resource::Server(server, _) => server.project_id == caller.project_id,
            Resource::FileSystem(system) => system.project_id == caller.project_id,
        });
        self.protectable_view(found.ok_or_else(|| no_such(kind, id))?)
            .await
    }

    async fn protectable_view(&self, resource: Resource) -> Result<ProtectableView, ServiceError> {
        let vault = match self.catalog.vault_resource(resource.id()).await? {
            Some(bound) => match self.catalog.vault(bound.vault_id).await? {
                Some(vault) => Some(self.vault_view(vault).await?),
                None => None,
            },
            None => None,
        };
        Ok(ProtectableView { resource, vault })
    }
}

fn paging<Id: From<ResourceId>>(asked: Paging<ResourceId>) -> Paging<Id> {
    Paging {
        limit: asked.limit,
        offset: asked.offset,
        marker: asked.marker.map(Into::into),
        with_total: asked.with_total,
        max_bytes: asked.max_bytes,
    }
}
