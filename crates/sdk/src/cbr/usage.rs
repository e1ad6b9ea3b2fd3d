//! What vaults hold together, and what the service can do (`cbr-v3.md §2.2`, `§2.10`).

use emberkeep_wire::cbr::VaultsUpdated;
use emberkeep_wire::cbr::ask::ExpiryMove;
use serde_json::{Map, Value};

use super::{
    Cbr, ExpiryMoved, Features, ReplicationRegion, StorageUsage, StorageUsageQuery, VaultsChange,
    VaultsSummary,
};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::VaultId;
use crate::pages::{Pages, Turning};

impl Cbr {
    /// Returns what the project's vaults hold together (Huawei).
    pub async fn vaults_summary(&self) -> Result<VaultsSummary, SdkError> {
        self.whole(Call::get(["vaults", "summary"])).await
    }

    /// Changes all vaults of the project at once; returns their ids (Huawei).
    pub async fn update_vaults(&self, change: &VaultsChange) -> Result<Vec<VaultId>, SdkError> {
        let call = Call::put(["vaults", "batch-update"], change);
        let updated: VaultsUpdated = self.whole(call).await?;
        Ok(updated.updated_vaults_id)
    }

    /// Keeps the backups of a vault that go by time until `day` (`2027-03-01`) in the zone
    /// (`UTC+02:00`) (Huawei).
    pub async fn move_backup_expiry(
        &self,
        vault: &VaultId,
        day: &str,
        zone: &str,
    ) -> Result<ExpiryMoved, SdkError> {
        let path = ["vaults", vault.as_str(), "update-backup-expiration-time"];
        let body = ExpiryMove {
            day: day.to_owned(),
            time_zone: zone.to_owned(),
        };
        self.whole(Call::put(path, &body)).await
    }

    /// Lists what the backups of each resource take.
    pub fn storage_usage(&self, query: &StorageUsageQuery) -> Pages<StorageUsage> {
        let call = Call::get(["storage_usage"])
            .query("resource_id", query.resource_id.as_ref())
            .query("resource_type", query.resource_type.as_ref());
        self.pages(Turning::Offset, call)
    }

    /// Lists where backups can be copied to.
    pub async fn replication_capabilities(&self) -> Result<Vec<ReplicationRegion>, SdkError> {
        self.one(Call::get(["replication-capabilities"])).await
    }

    /// Returns what the service can do.
    pub async fn features(&self) -> Result<Features, SdkError> {
        self.whole(Call::get(["cbr-features"])).await
    }

    /// Returns one thing that the service can do or not, by its own key such as
    /// `replication.enable`.
    pub async fn feature(&self, key: &str) -> Result<Value, SdkError> {
        let call = Call::get(["cbr-features", key]);
        let asked = call.asked();
        let mut answer: Map<String, Value> = self.whole(call).await?;
        answer.remove(key).ok_or_else(|| SdkError::BadAnswer {
            asked,
            what: format!("it has no '{key}'"),
        })
    }
}
