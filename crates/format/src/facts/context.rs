//! What a manifest remembers of where its backup belonged, so that a catalog can be made again from
//! manifests alone.

use std::collections::BTreeMap;

use emberkeep_model::{
    Gib, ObjectType, OperationDefinition, OperationType, PolicyId, ProtectType, Role, Tag,
    Timestamp, UserId, VaultId, VolumeChoice,
};
use serde::{Deserialize, Serialize};

/// What a backup belonged to when it was made. A fact that an older manifest lacks has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextFacts {
    /// The project's name, where the service keeps projects itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_name: Option<String>,
    /// The name of the user who asked for it, where the service keeps users itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// The user's roles in the project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// The vault that keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<VaultFacts>,
    /// Which volumes of a server the vault protects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<VolumeChoice>,
    /// The policies at work on the vault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyFacts>,
    /// The run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointFacts>,
    /// The directory that was backed up, below the service's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The pairs of the server or file system that was backed up.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_metadata: BTreeMap<String, String>,
}

/// A vault as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultFacts {
    /// Who made it.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it protects.
    pub object_type: ObjectType,
    /// How it protects.
    pub protect_type: ProtectType,
    /// Its capacity.
    pub size: Gib,
    /// It grows when it is full.
    #[serde(default)]
    pub auto_expand: bool,
    /// It takes resources in by their tags.
    #[serde(default)]
    pub auto_bind: bool,
    /// By which tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bind_rules: Vec<Tag>,
    /// Its own tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Its backups cannot be deleted before they expire.
    #[serde(default)]
    pub locked: bool,
    /// It sends notifications.
    #[serde(default)]
    pub smn_notify: bool,
    /// Percent of the capacity from which it warns.
    #[serde(default)]
    pub threshold: u8,
    /// Starts the names of its automatic backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_name_prefix: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A policy at work on a vault, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFacts {
    /// The policy.
    pub id: PolicyId,
    /// Who made it.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// It runs.
    pub enabled: bool,
    /// What it does.
    pub operation_type: OperationType,
    /// What it keeps, and where it replicates to.
    pub definition: OperationDefinition,
    /// When it runs.
    pub patterns: Vec<String>,
    /// The time zone of its schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The vault that its replicas go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_vault_id: Option<VaultId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A run over a vault, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointFacts {
    /// Who asked for it.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Made by a schedule.
    #[serde(default)]
    pub automatic: bool,
    /// Days that its backups are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// When it was begun.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn facts_round_trip_and_what_is_missing_has_its_default() {
        let user: UserId = "u".parse().expect("an id");
        let at = Timestamp(5);
        let facts = ContextFacts {
            project_name: Some("web".into()),
            user_name: Some("anna".into()),
            roles: vec![Role::Member],
            vault: Some(VaultFacts {
                user_id: user.clone(),
                name: "nightly".into(),
                description: None,
                object_type: ObjectType::Disk,
                protect_type: ProtectType::Backup,
                size: Gib(100),
                auto_expand: true,
                auto_bind: false,
                bind_rules: Vec::new(),
                tags: vec![Tag {
                    key: "a".into(),
                    value: "b".into(),
                }],
                locked: true,
                smn_notify: false,
                threshold: 80,
                backup_name_prefix: None,
                created_at: at,
            }),
            policies: vec![PolicyFacts {
                id: PolicyId(Uuid::from_u128(4)),
                user_id: user.clone(),
                name: "daily".into(),
                enabled: true,
                operation_type: OperationType::Backup,
                definition: OperationDefinition::default(),
                patterns: vec!["FREQ=DAILY;BYHOUR=1".into()],
                zone: Some("UTC+01:00".into()),
                destination_vault_id: None,
                created_at: at,
            }],
            checkpoint: Some(CheckpointFacts {
                user_id: user,
                name: "run".into(),
                description: None,
                automatic: true,
                retention_days: Some(7),
                created_at: at,
            }),
            ..ContextFacts::default()
        };
        let text = serde_json::to_string(&facts).expect("is written");
        let read: ContextFacts = serde_json::from_str(&text).expect("is read");
        assert_eq!(read, facts);
        let read: ContextFacts = serde_json::from_value(json!({"later": [1]})).expect("is read");
        assert_eq!(read, ContextFacts::default());
        assert!(serde_json::from_value::<ContextFacts>(json!({"roles": ["king"]})).is_err());
    }
}
