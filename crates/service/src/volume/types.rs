//! Volume types, as administrators make and change them.

use std::collections::BTreeMap;

use emberkeep_catalog::{CatalogError, Change, Key, Row, VolumeQuery};
use emberkeep_model::{Caller, ProjectId, VolumeType, VolumeTypeId};
use uuid::Uuid;

use crate::pairs;
use crate::race::racing;
use crate::refusal::Refusal;
use crate::{NewType, Service, ServiceError, TypeEdit};

impl Service {
    /// Tells that a volume type, named by its id, encrypts nothing.
    pub async fn type_encryption(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        self.allow(caller, "volume_extension:volume_type_encryption:get")?;
        let types = self.catalog.volume_types().await?;
        if types.iter().any(|one| one.id.to_string() == id) {
            Ok(())
        } else {
            Err(ServiceError::NoSuchVolumeType(id.to_owned()))
        }
    }

    /// Checks that the caller may list specifications of quality; there are none.
    pub fn may_see_qos(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.allow(caller, "volume_extension:qos_specs_manage:get_all")
    }

    /// Makes a volume type.
    pub async fn create_type(
        &self,
        caller: &Caller,
        new: NewType,
    ) -> Result<VolumeType, ServiceError> {
        self.allow(caller, "volume_extension:type_create")?;
        pairs::check_new(&new.extra_specs)?;
        let row = VolumeType {
            id: VolumeTypeId(Uuid::new_v4()),
            name: new.name,
            description: new.description,
            is_public: new.is_public,
            extra_specs: new.extra_specs,
            access: Vec::new(),
            created_at: self.now(),
            revision: 0,
        };
        let made = self
            .catalog
            .apply(vec![Change::Insert(Row::VolumeType(row.clone()))])
            .await;
        match made {
            Ok(()) => Ok(row),
            Err(CatalogError::Exists { .. }) => Err(Refusal::TypeExists(row.name).into()),
            Err(other) => Err(other.into()),
        }
    }

    /// Changes a volume type's name, text or publicity.
    pub async fn edit_type(
        &self,
        caller: &Caller,
        id: &str,
        edit: TypeEdit,
    ) -> Result<VolumeType, ServiceError> {
        self.allow(caller, "volume_extension:type_update")?;
        self.change_type(caller, id, |row| {
            let edit = edit.clone();
            if let Some(name) = edit.name {
                row.name = name;
            }
            if let Some(description) = edit.description {
                row.description = description;
            }
            row.is_public = edit.is_public.unwrap_or(row.is_public);
            Ok(())
        })
        .await
    }

    /// Deletes a volume type that no volume has, unless it is the default one.
    pub async fn delete_type(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        self.allow(caller, "volume_extension:type_delete")?;
        racing(|| async {
            let row = self.type_by_id(id).await?;
            if row.name == self.settings.default_volume_type {
                return Err(Refusal::Type(format!(
                    "The volume type {} is the default volume type and cannot be deleted.",
                    row.id
                ))
                .into());
            }
            let query = VolumeQuery::default();
            let volumes = self.catalog.volumes(&query).await?.items;
            if volumes.iter().any(|v| v.volume_type_id == Some(row.id)) {
                return Err(Refusal::Type("Target volume type is still in use.".to_owned()).into());
            }
            self.commit(vec![Change::Remove(Key::VolumeType(row.id), row.revision)])
                .await
        })
        .await
    }

    /// Shows the operator's pairs of a type.
    pub async fn extra_specs(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<BTreeMap<String, String>, ServiceError> {
        let row = self.type_named(caller, Some(id)).await?;
        self.allow(caller, "volume_extension:types_extra_specs:index")?;
        Ok(row.extra_specs)
    }

    /// Adds pairs to a type.
    pub async fn add_extra_specs(
        &self,
        caller: &Caller,
        id: &str,
        specs: BTreeMap<String, String>,
    ) -> Result<(), ServiceError> {
        self.allow(caller, "volume_extension:types_extra_specs:create")?;
        self.change_type(caller, id, |row| {
            let before = row.extra_specs.clone();
            row.extra_specs.extend(specs.clone());
            pairs::check_change(&before, &row.extra_specs)?;
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Takes a pair from a type.
    pub async fn remove_extra_spec(
        &self,
        caller: &Caller,
        id: &str,
        key: &str,
    ) -> Result<(), ServiceError> {
        self.allow(caller, "volume_extension:types_extra_specs:delete")?;
        self.change_type(caller, id, |row| match row.extra_specs.remove(key) {
            Some(_) => Ok(()),
            None => Err(Refusal::NoSuchExtraSpec {
                volume_type: row.id.to_string(),
                key: key.to_owned(),
            }
            .into()),
        })
        .await
        .map(drop)
    }

    /// Lists the projects that may use a type that is not public.
    pub async fn type_access(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(VolumeTypeId, Vec<ProjectId>), ServiceError> {
        self.allow(caller, "volume_extension:volume_type_access")?;
        let row = self.type_by_id(id).await?;
        if row.is_public {
            // Everybody has access, so there is no list of those who have.
            return Err(ServiceError::NoSuchVolumeType(format!(
                "access of public type {id}"
            )));
        }
        Ok((row.id, row.access))
    }

    /// Lets a project use a type that is not public, or no longer.
    pub async fn set_type_access(
        &self,
        caller: &Caller,
        id: &str,
        project: &ProjectId,
        allowed: bool,
    ) -> Result<(), ServiceError> {
        self.allow(caller, "volume_extension:volume_type_access")?;
        self.change_type(caller, id, |row| {
            let pair = || (row.id.to_string(), project.to_string());
            if row.is_public {
                return Err(Refusal::Type(
                    "Type access modification is not applicable to public volume type.".to_owned(),
                )
                .into());
            }
            let has = row.access.contains(project);
            match (allowed, has) {
                (true, true) => {
                    let (volume_type, project) = pair();
                    Err(Refusal::TypeAccessExists {
                        volume_type,
                        project,
                    }
                    .into())
                }
                (false, false) => {
                    let (volume_type, project) = pair();
                    Err(Refusal::NoSuchTypeAccess {
                        volume_type,
                        project,
                    }
                    .into())
                }
                (true, false) => {
                    row.access.push(project.clone());
                    Ok(())
                }
                (false, true) => {
                    row.access.retain(|one| one != project);
                    Ok(())
                }
            }
        })
        .await
        .map(drop)
    }

    async fn type_by_id(&self, id: &str) -> Result<VolumeType, ServiceError> {
        let found = match id.parse::<VolumeTypeId>() {
            Ok(id) => self.catalog.volume_type(id).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| ServiceError::NoSuchVolumeType(id.to_owned()))
    }

    async fn change_type(
        &self,
        _caller: &Caller,
        id: &str,
        change: impl Fn(&mut VolumeType) -> Result<(), ServiceError>,
    ) -> Result<VolumeType, ServiceError> {
        let change = &change;
        racing(|| async move {
            let mut row = self.type_by_id(id).await?;
            change(&mut row)?;
            let saved = self
                .catalog
                .apply(vec![Change::Save(Row::VolumeType(row.clone()))])
                .await;
            match saved {
                Ok(()) => Ok(row),
                Err(CatalogError::Exists { .. }) => Err(Refusal::TypeExists(row.name).into()),
                Err(other) => Err(other.into()),
            }
        })
        .await
    }
}
