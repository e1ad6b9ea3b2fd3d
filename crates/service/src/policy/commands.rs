//! Policies and the vaults they are bound to (`cbr-v3.md §2.5`).

use emberkeep_catalog::{CatalogError, Change, Key, Page, PolicyQuery, Row};
use emberkeep_model::{
    Caller, OperationType, Policy, PolicyBinding, PolicyId, ProtectType, Role, Timestamp, Vault,
    VaultId, VaultStatus,
};
use emberkeep_plan::Schedule;
use emberkeep_plan::retention::read_rules;
use uuid::Uuid;

use crate::access::require;
use crate::error::{invalid, vault_status};
use crate::race::racing;
use crate::{CbrError, Destination, NewPolicy, PolicyEdit, Service, ServiceError, VaultUse};

/// Policies of one kind that a project has at most.
const MAX_POLICIES: usize = 32;

/// A policy with the vaults it is bound to.
#[derive(Debug, Clone)]
pub struct PolicyView {
    /// The policy.
    pub policy: Policy,
    /// Where it is at work.
    pub bindings: Vec<PolicyBinding>,
}

impl Service {
    /// Makes a policy.
    pub async fn create_policy(
        &self,
        caller: &Caller,
        new: NewPolicy,
    ) -> Result<PolicyView, ServiceError> {
        require(caller, Role::Member, "cbr:policies:create")?;
        let policy = Policy {
            id: PolicyId(Uuid::new_v4()),
            project_id: caller.project_id.clone(),
            user_id: caller.user_id.clone(),
            name: new.name,
            enabled: new.enabled,
            operation_type: new.operation_type,
            definition: new.definition,
            patterns: new.patterns,
            zone: new.zone,
            created_at: self.now(),
            updated_at: None,
            revision: 0,
        };
        check(&policy, self.settings.policy_min_gap_minutes)?;
        self.refuse_own_region(&policy)?;
        let query = PolicyQuery {
            project: Some(caller.project_id.clone()),
            operation_type: Some(policy.operation_type),
            ..PolicyQuery::default()
        };
        if self.catalog.policies(&query).await?.items.len() >= MAX_POLICIES {
            return Err(CbrError::TooManyPolicies { most: MAX_POLICIES }.into());
        }
        self.commit(vec![Change::Insert(Row::Policy(policy.clone()))])
            .await?;
        Ok(PolicyView {
            policy,
            bindings: Vec::new(),
        })
    }

    /// Shows one policy.
    pub async fn policy(&self, caller: &Caller, id: PolicyId) -> Result<PolicyView, ServiceError> {
        let policy = self.own_policy(caller, id).await?;
        require(caller, Role::Reader, "cbr:policies:get")?;
        self.policy_view(policy).await
    }

    /// Lists the project's policies, newest first.
    pub async fn policies(
        &self,
        caller: &Caller,
        mut query: PolicyQuery,
    ) -> Result<Page<PolicyView>, ServiceError> {
        require(caller, Role::Reader, "cbr:policies:list")?;
        query.project = Some(caller.project_id.clone());
        let page = self.catalog.policies(&query).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for policy in page.items {
            items.push(self.policy_view(policy).await?);
        }
        Ok(Page {
            items,
            total: page.total,
            is_cut: page.is_cut,
        })
    }

    /// Changes a policy. One that starts to run, or to run at other times, begins afresh: nothing
    /// from before is caught up.
    pub async fn edit_policy(
        &self,
        caller: &Caller,
        id: PolicyId,
        edit: PolicyEdit,
    ) -> Result<PolicyView, ServiceError> {
        let policy = racing(|| async {
            let before = self.own_policy(caller, id).await?;
            require(caller, Role::Member, "cbr:policies:update")?;
            if edit
                .operation_type
                .is_some_and(|kind| kind != before.operation_type)
            {
                return Err(invalid("operation_type", "cannot be changed"));
            }
            let mut policy = edited(before.clone(), edit.clone());
            check(&policy, self.gap_for(&before, &policy))?;
            self.refuse_own_region(&policy)?;
            let bindings = self.catalog.policy_vaults(id).await?;
            for binding in &bindings {
                self.refuse_dropping_locked(binding, Some(&before), &policy)
                    .await?;
            }
            let moved = policy.definition.destination_region
                != before.definition.destination_region
                || policy.definition.destination_project_id
                    != before.definition.destination_project_id;
            if moved && !bindings.is_empty() {
                return Err(CbrError::PolicyDestination(id).into());
            }
            let now = self.now();
            policy.updated_at = Some(now);
            let afresh = (policy.enabled && !before.enabled)
                || policy.patterns != before.patterns
                || policy.zone != before.zone;
            let mut changes = vec![Change::Save(Row::Policy(policy.clone()))];
            if afresh {
                changes.extend(bindings.into_iter().map(|mut binding| {
                    binding.settled_until = now;
                    Change::Save(Row::PolicyBinding(binding))
                }));
            }
            self.commit(changes).await?;
            Ok(policy)
        })
        .await?;
        self.reconcile.notify_one();
        self.policy_view(policy).await
    }

    /// Removes a policy, from the vaults it is bound to as well. The backups it made stay.
    pub async fn delete_policy(&self, caller: &Caller, id: PolicyId) -> Result<(), ServiceError> {
        racing(|| async {
            let policy = self.own_policy(caller, id).await?;
            require(caller, Role::Member, "cbr:policies:delete")?;
            let bindings = self.catalog.policy_vaults(id).await?;
            let mut changes: Vec<_> = bindings.iter().map(unbinding).collect();
            changes.push(Change::Remove(Key::Policy(id), policy.revision));
            self.commit(changes).await
        })
        .await
    }

    /// Binds a policy to a vault, in place of another of its kind. Binding it twice is fine.
    pub async fn associate_policy(
        &self,
        caller: &Caller,
        vault: VaultId,
        policy: PolicyId,
        destination: Option<VaultId>,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let vault = self.own_vault(caller, vault).await?;
            require(caller, Role::Member, "cbr:vaults:associatePolicy")?;
            if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
                return Err(vault_status(&vault, VaultUse::Change));
            }
            let policy = self.own_policy(caller, policy).await?;
            suits(&policy, &vault)?;
            if policy.operation_type == OperationType::Replication {
                let to = destination_of(&policy, destination)?;
                self.destination(caller, &to, vault.object_type).await?;
            }
            let destination =
                destination.filter(|_| policy.operation_type == OperationType::Replication);
            let bound = self.bindings_of(vault.id).await?;
            if let Some((_, there)) = bound.iter().find(|(p, _)| p.id == policy.id) {
                if there.destination_vault_id == destination {
                    return Ok(());
                }
                let moved = PolicyBinding {
                    destination_vault_id: destination,
                    ..there.clone()
                };
                return self
                    .commit(vec![Change::Save(Row::PolicyBinding(moved))])
                    .await;
            }
            let mut replaced = bound
                .iter()
                .filter(|(other, _)| other.operation_type == policy.operation_type);
            let mut changes: Vec<_> = replaced
                .clone()
                .map(|(_, binding)| unbinding(binding))
                .collect();
            let new = new_binding(&policy, vault.id, destination, self.now());
            let before = replaced.next().map(|(before, _)| before);
            self.refuse_dropping_locked(&new, before, &policy).await?;
            changes.push(Change::Insert(Row::PolicyBinding(new)));
            // Of two policies bound at once one loses the race, and then replaces the other.
            changes.push(Change::Save(Row::Vault(vault)));
            match self.commit(changes).await {
                Err(ServiceError::Catalog(CatalogError::Exists { .. })) => Err(ServiceError::Busy),
                settled => settled,
            }
        })
        .await?;
        self.reconcile.notify_one();
        Ok(())
    }

    /// Unbinds a policy from a vault.
    pub async fn dissociate_policy(
        &self,
        caller: &Caller,
        vault: VaultId,
        policy: PolicyId,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let vault = self.own_vault(caller, vault).await?;
            require(caller, Role::Member, "cbr:vaults:dissociatePolicy")?;
            let bound = self.catalog.vault_policies(vault.id).await?;
            let found = bound.iter().find(|b| b.policy_id == policy);
            let binding = found.ok_or(CbrError::PolicyNotBound {
                policy,
                vault: vault.id,
            })?;
            self.commit(vec![unbinding(binding)]).await
        })
        .await
    }

    /// Checks the backup policy that a new vault is to have, and returns the change that binds it.
    pub(crate) async fn first_binding(
        &self,
        caller: &Caller,
        vault: &Vault,
        policy: Option<PolicyId>,
    ) -> Result<Option<Change>, ServiceError> {
        let Some(id) = policy else { return Ok(None) };
        let policy = self.own_policy(caller, id).await?;
        if policy.operation_type != OperationType::Backup {
            return Err(CbrError::PolicyUnsuited {
                policy: id,
                vault: vault.id,
                reason: "it makes no backups",
            }
            .into());
        }
        suits(&policy, vault)?;
        let new = new_binding(&policy, vault.id, None, vault.created_at);
        Ok(Some(Change::Insert(Row::PolicyBinding(new))))
    }

    /// Returns the policies at work on a vault.
    pub(crate) async fn bindings_of(
        &self,
        vault: VaultId,
    ) -> Result<Vec<(Policy, PolicyBinding)>, ServiceError> {
        let mut bound = Vec::new();
        for binding in self.catalog.vault_policies(vault).await? {
            // Gone between the two reads: then the binding is gone too.
            if let Some(policy) = self.catalog.policy(binding.policy_id).await? {
                bound.push((policy, binding));
            }
        }
        Ok(bound)
    }

    /// Returns the backup policy at work on a vault.
    pub(crate) async fn backup_policy_of(
        &self,
        vault: VaultId,
    ) -> Result<Option<Policy>, ServiceError> {
        let bound = self.bindings_of(vault).await?;
        let policies = bound.into_iter().map(|(policy, _)| policy);
        Ok(policies
            .into_iter()
            .find(|policy| policy.operation_type == OperationType::Backup))
    }

    /// Returns the changes that free a vault from its policies.
    pub(crate) async fn unbind_all(&self, vault: VaultId) -> Result<Vec<Change>, ServiceError> {
        let bound = self.catalog.vault_policies(vault).await?;
        Ok(bound.iter().map(unbinding).collect())
    }

    pub(crate) async fn own_policy(
        &self,
        caller: &Caller,
        id: PolicyId,
    ) -> Result<Policy, ServiceError> {
        let found = self.catalog.policy(id).await?;
        found
            .filter(|policy| policy.project_id == caller.project_id)
            .ok_or_else(|| CbrError::NoSuchPolicy(id).into())
    }

    /// Refuses a policy that would copy to where the backups are.
    fn refuse_own_region(&self, policy: &Policy) -> Result<(), ServiceError> {
        let region = policy.definition.destination_region.as_deref();
        if policy.operation_type == OperationType::Replication
            && region == Some(self.regions.own.as_str())
        {
            return Err(invalid(
                "operation_definition.destination_region",
                "is the region that the backups are in",
            ));
        }
        Ok(())
    }

    /// How far apart the runs of a policy must be that is changed: as far as those of a new one,
    /// unless its times stay as they were.
    pub(crate) fn gap_for(&self, before: &Policy, after: &Policy) -> u16 {
        if before.patterns == after.patterns {
            1
        } else {
            self.settings.policy_min_gap_minutes
        }
    }

    async fn policy_view(&self, policy: Policy) -> Result<PolicyView, ServiceError> {
        let bindings = self.catalog.policy_vaults(policy.id).await?;
        Ok(PolicyView { policy, bindings })
    }
}

/// Applies an edit.
pub(crate) fn edited(mut policy: Policy, edit: PolicyEdit) -> Policy {
    policy.name = edit.name.unwrap_or(policy.name);
    policy.enabled = edit.enabled.unwrap_or(policy.enabled);
    policy.definition = edit.definition.unwrap_or(policy.definition);
    policy.patterns = edit.patterns.unwrap_or(policy.patterns);
    policy.zone = edit.zone.unwrap_or(policy.zone);
    policy
}

/// Refuses a policy that could not run, or whose numbers contradict each other; its runs on one
/// day must be `apart` minutes apart.
pub(crate) fn check(policy: &Policy, apart: u16) -> Result<(), ServiceError> {
    Schedule::apart(policy, apart)
        .map_err(|error| invalid("trigger.properties.pattern", error.to_string()))?;
    read_rules(&policy.definition, policy.zone.as_deref())
        .map_err(|error| invalid("operation_definition", error.to_string()))?;
    if policy.operation_type == OperationType::Replication {
        if policy.definition.destination_region.is_none() {
            return Err(invalid(
                "operation_definition.destination_region",
                "is required for replication",
            ));
        }
        if policy.definition.destination_project_id.is_none() {
            return Err(invalid(
                "operation_definition.destination_project_id",
                "is required for replication",
            ));
        }
    }
    Ok(())
}

fn suits(policy: &Policy, vault: &Vault) -> Result<(), ServiceError> {
    if vault.protect_type == ProtectType::Backup {
        return Ok(());
    }
    Err(CbrError::PolicyUnsuited {
        policy: policy.id,
        vault: vault.id,
        reason: "the vault takes no backups",
    }
    .into())
}

/// Says where the copies that a policy makes of a vault go.
pub(crate) fn destination_of(
    policy: &Policy,
    vault: Option<VaultId>,
) -> Result<Destination, ServiceError> {
    let definition = &policy.definition;
    let missing = |field| invalid(field, "is required for a replication policy");
    Ok(Destination {
        region: definition
            .destination_region
            .clone()
            .ok_or_else(|| missing("destination_region"))?,
        project: definition
            .destination_project_id
            .clone()
            .ok_or_else(|| missing("destination_project_id"))?,
        vault: vault.ok_or_else(|| missing("destination_vault_id"))?,
    })
}

fn new_binding(
    policy: &Policy,
    vault: VaultId,
    destination: Option<VaultId>,
    now: Timestamp,
) -> PolicyBinding {
    PolicyBinding {
        policy_id: policy.id,
        vault_id: vault,
        destination_vault_id: destination,
        settled_until: now,
        revision: 0,
    }
}

fn unbinding(binding: &PolicyBinding) -> Change {
    Change::Remove(
        Key::PolicyBinding(binding.policy_id, binding.vault_id),
        binding.revision,
    )
}
