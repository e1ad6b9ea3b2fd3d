//! Policies and what they are bound to (`cbr-v3.md §2.5`, `§2.2`).

use emberkeep_wire::cbr::ask::PolicyBinding;
use emberkeep_wire::cbr::{PolicyAssociated, PolicyDissociated};

use super::{Bound, Cbr, NewPolicy, Policy, PolicyChange, PolicyQuery, only_named, there};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::{PolicyId, VaultId};
use crate::pages::{Pages, Turning};

impl Cbr {
    /// Lists the project's policies.
    pub fn policies(&self, query: &PolicyQuery) -> Pages<Policy> {
        // No document says that this list has pages, and a project has 64 policies at most.
        self.pages(Turning::Never, query.of(Call::get(["policies"])))
    }

    /// Shows one policy.
    pub async fn policy(&self, id: &PolicyId) -> Result<Policy, SdkError> {
        self.one(Call::get(["policies", id.as_str()])).await
    }

    /// Finds a policy by its id or its name; none if there is none.
    pub async fn find_policy(&self, name_or_id: &str) -> Result<Option<Policy>, SdkError> {
        if let Some(found) = there(self.policy(&PolicyId::from(name_or_id)).await)? {
            return Ok(Some(found));
        }
        let all = self.policies(&PolicyQuery::default()).all().await?;
        only_named("policy", name_or_id, all, |policy| &policy.name)
    }

    /// Makes a policy.
    pub async fn create_policy(&self, new: &NewPolicy) -> Result<Policy, SdkError> {
        self.one(Call::post(["policies"], new)).await
    }

    /// Changes a policy.
    pub async fn update_policy(
        &self,
        id: &PolicyId,
        change: &PolicyChange,
    ) -> Result<Policy, SdkError> {
        let call = Call::put(["policies", id.as_str()], change);
        self.one(call).await
    }

    /// Deletes a policy; backups that it made stay.
    pub async fn delete_policy(&self, id: &PolicyId) -> Result<(), SdkError> {
        self.done(Call::delete(["policies", id.as_str()])).await
    }

    /// Binds a policy to a vault, in place of another one of the same kind. A replication
    /// policy needs the vault that takes the replicas.
    pub async fn bind_policy(
        &self,
        vault: &VaultId,
        policy: &PolicyId,
        destination: Option<&VaultId>,
    ) -> Result<Bound, SdkError> {
        let path = ["vaults", vault.as_str(), "associatepolicy"];
        let body = PolicyBinding {
            policy_id: policy.clone(),
            destination_vault_id: destination.cloned(),
        };
        let done: PolicyAssociated = self.whole(Call::post(path, &body)).await?;
        Ok(done.associate_policy)
    }

    /// Takes a policy off a vault.
    pub async fn unbind_policy(
        &self,
        vault: &VaultId,
        policy: &PolicyId,
    ) -> Result<Bound, SdkError> {
        let path = ["vaults", vault.as_str(), "dissociatepolicy"];
        let body = PolicyBinding {
            policy_id: policy.clone(),
            destination_vault_id: None,
        };
        let done: PolicyDissociated = self.whole(Call::post(path, &body)).await?;
        Ok(done.dissociate_policy)
    }
}
