//! Types of volumes (`cinder-backup.md §2.8`).

use std::collections::BTreeMap;

use emberkeep_wire::cinder::ExtraSpecsBody;
use emberkeep_wire::cinder::ask::TypeAccessChange;

use super::{BlockStorage, NewVolumeType, TypeAccess, VolumeType, VolumeTypeChange};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::ProjectId;

impl BlockStorage {
    /// Lists the types that volumes can have.
    pub async fn volume_types(&self) -> Result<Vec<VolumeType>, SdkError> {
        self.one(Call::get(["types"])).await
    }

    /// Shows one type; `default` names the one that is taken unasked.
    pub async fn volume_type(&self, id: &str) -> Result<VolumeType, SdkError> {
        self.one(Call::get(["types", id])).await
    }

    /// Makes a type; for administrators.
    pub async fn create_volume_type(&self, new: &NewVolumeType) -> Result<VolumeType, SdkError> {
        let call = Call::post(["types"], new);
        self.one(call).await
    }

    /// Changes a type; for administrators.
    pub async fn update_volume_type(
        &self,
        id: &str,
        change: &VolumeTypeChange,
    ) -> Result<VolumeType, SdkError> {
        let call = Call::put(["types", id], change);
        self.one(call).await
    }

    /// Deletes a type that no volume has; for administrators.
    pub async fn delete_volume_type(&self, id: &str) -> Result<(), SdkError> {
        self.done(Call::delete(["types", id])).await
    }

    /// Returns what a type asks of back ends.
    pub async fn extra_specs(&self, id: &str) -> Result<BTreeMap<String, String>, SdkError> {
        let call = Call::get(["types", id, "extra_specs"]);
        let all: ExtraSpecsBody = self.whole(call).await?;
        Ok(all.extra_specs)
    }

    /// Adds to what a type asks of back ends; for administrators. Returns what was added.
    pub async fn set_extra_specs(
        &self,
        id: &str,
        specs: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, SdkError> {
        let path = ["types", id, "extra_specs"];
        let body = ExtraSpecsBody {
            extra_specs: specs.clone(),
        };
        let call = Call::post(path, &body);
        let added: ExtraSpecsBody = self.whole(call).await?;
        Ok(added.extra_specs)
    }

    /// Takes away one thing that a type asks of back ends; for administrators.
    pub async fn delete_extra_spec(&self, id: &str, key: &str) -> Result<(), SdkError> {
        self.done(Call::delete(["types", id, "extra_specs", key]))
            .await
    }

    /// Lists the projects that may use a type which not every project may; for administrators.
    pub async fn type_access(&self, id: &str) -> Result<Vec<TypeAccess>, SdkError> {
        let path = ["types", id, "os-volume-type-access"];
        self.one(Call::get(path)).await
    }

    /// Lets a project use a type; for administrators.
    pub async fn add_type_access(&self, id: &str, project: &ProjectId) -> Result<(), SdkError> {
        let project = project.clone();
        self.change_access(id, &TypeAccessChange::Add { project })
            .await
    }

    /// Lets a project no longer use a type; for administrators.
    pub async fn remove_type_access(&self, id: &str, project: &ProjectId) -> Result<(), SdkError> {
        let project = project.clone();
        self.change_access(id, &TypeAccessChange::Remove { project })
            .await
    }

    async fn change_access(&self, id: &str, change: &TypeAccessChange) -> Result<(), SdkError> {
        self.done(Call::post(["types", id, "action"], change)).await
    }
}
