//! Commands about policies.

use crate::{OperationDefinition, OperationType, PolicyId, VaultId};

/// Creates a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPolicy {
    /// Its name.
    pub name: String,
    /// Whether it runs and deletes.
    pub enabled: bool,
    /// What it does.
    pub operation_type: OperationType,
    /// How long backups stay.
    pub definition: OperationDefinition,
    /// When it runs.
    pub patterns: Vec<String>,
    /// The named time zone of its patterns and periods, if they are not in UTC.
    pub zone: Option<String>,
}

/// Changes a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyEdit {
    /// The new name.
    pub name: Option<String>,
    /// Whether it runs and deletes.
    pub enabled: Option<bool>,
    /// What it is taken for: refused if that is not so.
    pub operation_type: Option<OperationType>,
    /// The whole new definition.
    pub definition: Option<OperationDefinition>,
    /// All the new patterns.
    pub patterns: Option<Vec<String>>,
    /// The new zone; `Some(None)` goes back to UTC.
    pub zone: Option<Option<String>>,
}

/// Binds a policy to a vault, or unbinds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindPolicy {
    /// The policy.
    pub policy_id: PolicyId,
    /// The vault that takes the replicas.
    pub destination_vault_id: Option<VaultId>,
}
