//! Runs over vaults (`cbr-v3.md §2.3`).

use emberkeep_wire::cbr::ask::VaultReplication;

use super::{Cbr, Checkpoint, NewCheckpoint, NewReplication, Replication};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::{CheckpointId, VaultId};
use crate::wait::Wait;

impl Cbr {
    /// Begins a run over a vault. What it left out stands in
    /// [`CheckpointVault::skipped_resources`](super::CheckpointVault::skipped_resources) of this
    /// answer, and with some clouds in no later one.
    pub async fn create_checkpoint(&self, new: &NewCheckpoint) -> Result<Checkpoint, SdkError> {
        let call = Call::post(["checkpoints"], new);
        self.one(call).await
    }

    /// Shows one checkpoint.
    pub async fn checkpoint(&self, id: &CheckpointId) -> Result<Checkpoint, SdkError> {
        self.one(Call::get(["checkpoints", id.as_str()])).await
    }

    /// Waits until every backup of a run is made; one in error is an error.
    pub async fn wait_for_checkpoint(
        &self,
        id: &CheckpointId,
        wait: Wait,
    ) -> Result<Checkpoint, SdkError> {
        wait.until_status(&["available"], async || self.checkpoint(id).await)
            .await
    }

    /// Copies all of a vault's backups that are not there yet to another region; returns what
    /// the service says of it.
    pub async fn replicate_vault(
        &self,
        vault: &VaultId,
        to: &NewReplication,
    ) -> Result<Replication, SdkError> {
        let body = VaultReplication {
            vault_id: vault.clone(),
            to: to.clone(),
        };
        self.one(Call::post(["checkpoints", "replicate"], &body))
            .await
    }
}
