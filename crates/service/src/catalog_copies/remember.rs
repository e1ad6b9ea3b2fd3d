//! Collects what a manifest remembers of the vault, policies and project of its backup.

use emberkeep_catalog::CatalogError;
use emberkeep_engine::{CheckpointFacts, ContextFacts, PolicyFacts, VaultFacts};
use emberkeep_model::{Backup, FileSystemId, ObjectType, Role, ServerId, Vault, VaultId};

use crate::Service;

impl Service {
    /// Returns what a backup belongs to just now.
    pub(crate) async fn context_of(&self, backup: &Backup) -> Result<ContextFacts, CatalogError> {
        let project = self.catalog.project(&backup.project_id).await?;
        let user = self.catalog.user(&backup.user_id).await?;
        let mut facts = ContextFacts {
            project_name: project.map(|project| project.name),
            ..ContextFacts::default()
        };
        if let Some(user) = user {
            facts.roles = self.roles_in(backup).await?;
            facts.user_name = Some(user.name);
        }
        if let Some(id) = backup.vault_id
            && let Some(vault) = self.catalog.vault(id).await?
        {
            facts.policies = self.policies_of(id).await?;
            facts.vault = Some(vault_facts(vault));
            let resource = self.catalog.vault_resource(backup.resource_id()).await?;
            facts.choice = resource
                .filter(|resource| resource.vault_id == id)
                .map(|resource| resource.choice)
                .filter(|choice| *choice != Default::default());
        }
        if let Some(id) = backup.checkpoint_id
            && let Some(checkpoint) = self.catalog.checkpoint(id).await?
        {
            facts.checkpoint = Some(CheckpointFacts {
                user_id: checkpoint.user_id,
                name: checkpoint.name,
                description: checkpoint.description,
                automatic: checkpoint.automatic,
                retention_days: checkpoint.retention_days,
                created_at: checkpoint.created_at,
            });
        }
        match backup.cbr.kind {
            ObjectType::Turbo => {
                let id = FileSystemId::from(backup.resource_id());
                if let Some(row) = self.catalog.file_system(id).await? {
                    facts.directory = Some(row.path);
                    facts.resource_metadata = row.metadata;
                }
            }
            ObjectType::Server => {
                let id = ServerId::from(backup.resource_id());
                if let Some(row) = self.catalog.server(id).await? {
                    facts.resource_metadata = row.metadata;
                }
            }
            ObjectType::Disk => {}
        }
        Ok(facts)
    }

    async fn roles_in(&self, backup: &Backup) -> Result<Vec<Role>, CatalogError> {
        let all = self.catalog.assignments(&backup.user_id).await?;
        let own = all
            .into_iter()
            .filter(|one| one.project_id == backup.project_id);
        Ok(own.map(|one| one.role).collect())
    }

    async fn policies_of(&self, vault: VaultId) -> Result<Vec<PolicyFacts>, CatalogError> {
        let mut facts = Vec::new();
        for binding in self.catalog.vault_policies(vault).await? {
            if let Some(policy) = self.catalog.policy(binding.policy_id).await? {
                facts.push(PolicyFacts {
                    id: policy.id,
                    user_id: policy.user_id,
                    name: policy.name,
                    enabled: policy.enabled,
                    operation_type: policy.operation_type,
                    definition: policy.definition,
                    patterns: policy.patterns,
                    zone: policy.zone,
                    destination_vault_id: binding.destination_vault_id,
                    created_at: policy.created_at,
                });
            }
        }
        Ok(facts)
    }
}

fn vault_facts(vault: Vault) -> VaultFacts {
    VaultFacts {
        user_id: vault.user_id,
        name: vault.name,
        description: vault.description,
        object_type: vault.object_type,
        protect_type: vault.protect_type,
        size: vault.size,
        auto_expand: vault.auto_expand,
        auto_bind: vault.auto_bind,
        bind_rules: vault.bind_rules,
        tags: vault.tags,
        locked: vault.locked,
        smn_notify: vault.smn_notify,
        threshold: vault.threshold,
        backup_name_prefix: vault.backup_name_prefix,
        created_at: vault.created_at,
    }
}
